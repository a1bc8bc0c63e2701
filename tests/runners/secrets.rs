//! What is filled in reaches the process or the request, and nothing that the attempt leaves.

use cronapi::executor::runner::Ended;
use serde_json::json;

use crate::bench::*;

const VALUE: &str = "s3cr3t-v4lue";

fn filled(mut spec: cronapi::executor::runner::Spec) -> cronapi::executor::runner::Spec {
    spec.filled.env.insert("TOKEN".into(), format!("Bearer {VALUE}"));
    spec.filled.masked.push(VALUE.into());
    spec
}

#[tokio::test]
async fn a_process_has_it_and_its_output_does_not() {
    let line = "test \"$TOKEN\" = 'Bearer s3cr3t-v4lue' && echo \"it is [$TOKEN]\"; \
                printf s3cr; sleep 0.3; printf 3t-v4lue; echo; echo \"$TOKEN\" >&2";
    let ran = attempt(filled(shell(line))).await;
    assert_eq!(ran.outcome.ended, Ended::Succeeded, "{ran:?}");
    assert_eq!(ran.out(), "it is [Bearer ***]\n***\n");
    assert_eq!(ran.err(), "Bearer ***\n");
    assert!(!format!("{:?}", filled(shell("true"))).contains(VALUE), "nor in what is logged");
}

#[tokio::test]
async fn results_and_errors_do_not_have_it_either() {
    if !has_python() {
        return;
    }
    let code = "import os\ndef job():\n    return {'t': os.environ['TOKEN']}";
    let ran = attempt(filled(python(code, json!({})))).await;
    assert_eq!(ran.outcome.result, Some(json!({"t": "Bearer ***"})), "{ran:?}");
    let code = "import os\ndef job():\n    raise ValueError(os.environ['TOKEN'])";
    let ran = attempt(filled(python(code, json!({})))).await;
    assert_eq!(ran.outcome.ended, Ended::Failed);
    assert!(ran.error().contains("Bearer ***"), "{}", ran.error());
    assert!(!format!("{ran:?}").contains(VALUE));
}

#[tokio::test]
async fn output_that_is_cut_is_masked_at_the_cut() {
    let mut asked = filled(shell("for i in $(seq 400); do echo \"$TOKEN $i\"; done"));
    asked.output_max = 1_000;
    let ran = attempt(asked).await;
    assert!(!format!("{}{}", ran.out(), ran.notes()).contains(VALUE));
    assert!(ran.out().contains("Bearer *** 400"), "{}", ran.out());
}

#[tokio::test]
async fn a_secret_where_an_error_is_cut_is_masked_before() {
    if !has_python() {
        return;
    }
    let code = "import os\ndef job():\n    raise ValueError('x' * 1978 + os.environ['TOKEN'])";
    let ran = attempt(filled(python(code, json!({})))).await;
    assert!(ran.error().chars().count() <= 2_001 && ran.error().ends_with("Bearer ***"));
    let code = "import os\ndef job():\n    raise ValueError('x' * 1979 + os.environ['TOKEN'])";
    let ran = attempt(filled(python(code, json!({})))).await;
    assert!(ran.error().ends_with("Bearer **…"), "{}", ran.error());
}
