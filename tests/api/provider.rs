//! A small OpenID Connect provider: real HTTP, real signatures, and whatever should go wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use axum::extract::{Form, Query, State};
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cronapi::clock::{Clock, Manual};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

pub const CLIENT: &str = "cron & co";
pub const SECRET: &str = "a secret: with % and +";
pub const BACK: &str = "https://cron.example/auth/oidc/callback";

type Pairs = BTreeMap<String, String>;
type Twist = Box<dyn Fn(&mut Value) + Send>;

/// A key that tokens are signed with.
#[derive(Clone)]
pub struct Key {
    pub algorithm: Algorithm,
    pub kid: &'static str,
    pub signs: EncodingKey,
    pub shown: Value,
}

struct Random;

impl rand_core::RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).unwrap();
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for Random {}

/// RS256, as most providers sign. Made once: it takes a while.
pub fn rsa_key() -> Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    let make = || {
        let key = rsa::RsaPrivateKey::new(&mut Random, 2_048).unwrap();
        let encoded = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        let (n, e) = (encoded(key.n()), encoded(key.e()));
        let kid = "rsa-1";
        Key {
            algorithm: Algorithm::RS256,
            kid,
            signs: EncodingKey::from_rsa_der(key.to_pkcs1_der().unwrap().as_bytes()),
            shown: json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": n, "e": e}),
        }
    };
    KEY.get_or_init(make).clone()
}

pub fn ec_key(kid: &'static str) -> Key {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let point = rcgen::PublicKeyData::der_bytes(&key).to_vec();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    Key {
        algorithm: Algorithm::ES256,
        kid,
        signs: EncodingKey::from_ec_der(&key.serialize_der()),
        shown: json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": x, "y": y}),
    }
}

struct Granted {
    challenge: String,
    nonce: String,
}

pub struct Provider {
    pub issuer: String,
    clock: Arc<Manual>,
    pub key: Mutex<Key>,
    pub shown: Mutex<Vec<Value>>,
    /// Who is logged in at the provider.
    pub user: Mutex<Value>,
    /// What is told when asked only.
    pub userinfo: Mutex<Value>,
    /// What is done to the claims of each ID token.
    twist: Mutex<Option<Twist>>,
    granted: Mutex<BTreeMap<String, Granted>>,
}

impl Provider {
    pub async fn start(clock: Arc<Manual>) -> Arc<Provider> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/realm", listener.local_addr().unwrap());
        let key = rsa_key();
        let other = json!({"kty": "of the future", "kid": "x"});
        let provider = Arc::new(Provider {
            issuer,
            clock,
            shown: Mutex::new(vec![other, key.shown.clone()]),
            key: Mutex::new(key),
            user: Mutex::new(json!({"sub": "1", "preferred_username": "ann", "groups": ["ops"]})),
            userinfo: Mutex::new(json!({"sub": "1"})),
            twist: Mutex::default(),
            granted: Mutex::default(),
        });
        let routes = Router::new()
            .route("/realm/.well-known/openid-configuration", get(discovery))
            .route("/realm/authorize", get(authorize))
            .route("/realm/token", post(token))
            .route("/realm/keys", get(keys))
            .route("/realm/userinfo", get(userinfo))
            .with_state(Arc::clone(&provider));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        provider
    }

    pub fn twist(&self, twist: impl Fn(&mut Value) + Send + 'static) {
        *self.twist.lock().unwrap() = Some(Box::new(twist));
    }

    pub fn straight(&self) {
        *self.twist.lock().unwrap() = None;
    }

    fn id_token(&self, nonce: &str) -> String {
        let now = self.clock.now().secs();
        let mut claims = self.user.lock().unwrap().clone();
        let (iss, exp) = (&self.issuer, now + 300);
        let own = json!({"iss": iss, "aud": CLIENT, "nonce": nonce, "iat": now, "exp": exp});
        for (claim, value) in own.as_object().unwrap() {
            claims[claim] = value.clone();
        }
        if let Some(twist) = &*self.twist.lock().unwrap() {
            twist(&mut claims);
        }
        let key = self.key.lock().unwrap().clone();
        if let Some(algorithm) = claims.get("unsigned") {
            let head = json!({"alg": algorithm, "kid": key.kid});
            let packed = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            return format!("{}.{}.", packed(&head), packed(&claims));
        }
        let head = Header { kid: Some(key.kid.into()), ..Header::new(key.algorithm) };
        jsonwebtoken::encode(&head, &claims, &key.signs).unwrap()
    }
}

async fn discovery(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let issuer = &provider.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "response_types_supported": ["code"],
    }))
}

async fn authorize(State(provider): State<Arc<Provider>>, Query(asked): Query<Pairs>) -> Response {
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", BACK),
        ("code_challenge_method", "S256"),
        ("scope", "openid profile"),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    let code = format!("code-{}", provider.granted.lock().unwrap().len());
    let granted =
        Granted { challenge: asked["code_challenge"].clone(), nonce: asked["nonce"].clone() };
    provider.granted.lock().unwrap().insert(code.clone(), granted);
    let state = &asked["state"];
    let back = format!("{BACK}?code={code}&state={state}&iss={}&session_state=x", provider.issuer);
    (StatusCode::FOUND, [(LOCATION, back)]).into_response()
}

fn form_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte);
    let encode = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

async fn token(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(sent): Form<Pairs>,
) -> Response {
    let pair = format!("{}:{}", form_encoded(CLIENT), form_encoded(SECRET));
    let wanted = format!("Basic {}", STANDARD.encode(pair));
    if headers.get(AUTHORIZATION).is_none_or(|given| given != &wanted) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"})))
            .into_response();
    }
    // A code is good once.
    let granted = provider
        .granted
        .lock()
        .unwrap()
        .get_mut(&sent["code"])
        .map(|granted| (std::mem::take(&mut granted.challenge), granted.nonce.clone()));
    let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(sent["code_verifier"].as_bytes()));
    match granted {
        Some((challenge, nonce)) if challenge == proof && sent["redirect_uri"] == BACK => {
            let id_token = provider.id_token(&nonce);
            Json(json!({"id_token": id_token, "access_token": "at", "token_type": "Bearer"}))
                .into_response()
        }
        _ => (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response(),
    }
}

async fn keys(State(provider): State<Arc<Provider>>) -> Json<Value> {
    Json(json!({ "keys": *provider.shown.lock().unwrap() }))
}

async fn userinfo(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    if headers.get(AUTHORIZATION).is_none_or(|given| given != "Bearer at") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(provider.userinfo.lock().unwrap().clone()).into_response()
}
