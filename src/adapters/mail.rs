//! The type `email`: one mail, handed to a server by SMTP.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::Fault;
use super::call::Call;
use crate::causes;
use crate::executor::runner::addresses;
use crate::model::kind::channel::{ChannelConfig, MailTls};

/// How long a server may take to say good-bye: the mail is its own by then.
const QUIT_TIMEOUT: Duration = Duration::from_millis(500);
/// A connection to one address is given up after so long, for the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Bytes of a key that stands in a mail's identity as it is.
const KEY_BYTES_MAX: usize = 120;

pub(super) async fn send(call: &Call<'_>) -> Result<String, Fault> {
    let config = &call.channel.spec().config;
    let (Some(host), Some(from)) = (&config.host, &config.from) else {
        return Err(Fault::lasting("the channel has no host, or nobody that it is from"));
    };
    let from = mailbox(from)?;
    let to = config.to.iter().map(|to| mailbox(to)).collect::<Result<Vec<Mailbox>, Fault>>()?;
    let mail = written(call, from.clone(), &to)?;
    let mut server = connect(call, host, from.email.domain()).await?;
    log_in(call, &mut server).await?;
    let said = hand_over(&mut server, &from.email, &to, &mail).await;
    let _ = timeout(QUIT_TIMEOUT, server.quit()).await;
    said
}

fn mailbox(text: &str) -> Result<Mailbox, Fault> {
    text.parse().map_err(|e| Fault::lasting(format!("the address {text:?} is none: {e}")))
}

/// The mail as bytes.
fn written(call: &Call<'_>, from: Mailbox, to: &[Mailbox]) -> Result<Vec<u8>, Fault> {
    let domain = from.email.domain().to_owned();
    let at = u64::try_from(call.message.at.secs()).unwrap_or(0);
    let mut mail = Mail::builder()
        .from(from)
        .subject(&call.text.subject)
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(at))
        .message_id(Some(identity(&call.message.key, &domain)))
        .header(ContentType::TEXT_PLAIN)
        // Nobody answers it, least of all a machine (RFC 3834).
        .raw_header(raw("Auto-Submitted", "auto-generated")?)
        .raw_header(raw("X-CronAPI-Kind", call.message.kind.as_str())?);
    if let Some(incident) = &call.message.incident {
        // Mails of one incident stand together.
        mail = mail.references(identity(incident, &domain));
    }
    for to in to {
        mail = mail.to(to.clone());
    }
    let mail = mail.body(call.text.body.clone());
    Ok(mail.map_err(|e| Fault::lasting(format!("the mail can't be written: {e}")))?.formatted())
}

fn raw(name: &'static str, value: &str) -> Result<HeaderValue, Fault> {
    let name = HeaderName::new_from_ascii(name.to_owned());
    let name = name.map_err(|_| Fault::lasting("a header of the mail has no name"))?;
    Ok(HeaderValue::new(name, value.to_owned()))
}

/// By which a mail is known: the key of the message, or its hash where it can't stand there.
fn identity(key: &str, domain: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.len() <= KEY_BYTES_MAX && key.chars().all(plain) {
        return format!("<{key}@{domain}>");
    }
    let digest = Sha256::digest(key.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("<{hex}@{domain}>")
}

/// A connection that is protected as the channel says.
async fn connect(call: &Call<'_>, host: &str, me: &str) -> Result<AsyncSmtpConnection, Fault> {
    let config = &call.channel.spec().config;
    let how = config.tls.unwrap_or(MailTls::Starttls);
    let port = config.port.unwrap_or(match how {
        MailTls::Starttls => 587,
        MailTls::Tls => 465,
        MailTls::None => 25,
    });
    let found = addresses(call.env, host, port).await?;
    let place = format!("{host}:{port}");
    let me = ClientId::Domain(me.to_owned());
    let tls = match how {
        MailTls::None => None,
        MailTls::Tls | MailTls::Starttls => Some(trusted(host)?),
    };
    let first = tls.clone().filter(|_| how == MailTls::Tls);
    let wait = Some(CONNECT_TIMEOUT);
    let found: &[SocketAddr] = &found;
    let server = AsyncSmtpConnection::connect_tokio1(found, wait, &me, first, None).await;
    let mut server = server.map_err(|e| refused(&format!("can't connect to {place}"), &e))?;
    if let Some(tls) = tls.filter(|_| how == MailTls::Starttls) {
        if !server.can_starttls() {
            return Err(Fault::lasting(format!(
                "{place} does not offer STARTTLS: \"tls\": \"tls\" is for servers that speak TLS \
                 from the first byte"
            )));
        }
        let secured = server.starttls(tls, &me).await;
        secured.map_err(|e| refused(&format!("TLS with {place} failed"), &e))?;
    }
    Ok(server)
}

/// Whom this node trusts to name servers: the authorities of the system.
fn trusted(host: &str) -> Result<TlsParameters, Fault> {
    static ROOTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs().certs;
        let usable = |cert: &rustls::pki_types::CertificateDer<'static>| {
            rustls::RootCertStore::empty().add(cert.clone()).is_ok()
        };
        found.into_iter().filter(usable).map(|cert| cert.as_ref().to_vec()).collect()
    });
    let mut builder =
        TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::None);
    let cant = |e| refused("TLS can't be set up on this node", &e);
    for root in roots {
        builder = builder.add_root_certificate(Certificate::from_der(root.clone()).map_err(cant)?);
    }
    builder.build_rustls().map_err(cant)
}

async fn log_in(call: &Call<'_>, server: &mut AsyncSmtpConnection) -> Result<(), Fault> {
    let ChannelConfig { username, password, .. } = &call.channel.spec().config;
    let (Some(username), Some(password)) = (username, password) else { return Ok(()) };
    if !server.is_encrypted() {
        return Err(Fault::lasting("no password is sent without TLS"));
    }
    let who = call.channel.setting(username);
    let login = Credentials::new(who, call.channel.secret(password));
    let done = server.auth(&[Mechanism::Plain, Mechanism::Login], &login).await;
    done.map_err(|e| refused("the login was refused", &e)).map(drop)
}

/// The mail becomes the server's. One address that it does not take keeps no other from its mail.
async fn hand_over(
    server: &mut AsyncSmtpConnection,
    from: &Address,
    to: &[Mailbox],
    mail: &[u8],
) -> Result<String, Fault> {
    let begun = server.command(MailFrom::new(Some(from.clone()), Vec::new())).await;
    begun.map_err(|e| refused(&format!("{from} may not send"), &e))?;
    let (mut taken, mut faults) = (0, Vec::new());
    for to in to {
        match server.command(Rcpt::new(to.email.clone(), Vec::new())).await {
            Ok(_) => taken += 1,
            Err(e) => faults.push(refused(to.email.as_ref(), &e)),
        }
    }
    let refusals: Vec<&str> = faults.iter().map(|fault| fault.detail.as_str()).collect();
    let refusals = refusals.join("; ");
    if taken == 0 {
        let retry = faults.iter().any(|fault| fault.retry);
        return Err(Fault { retry, after: None, detail: refusals });
    }
    let data = server.command(Data).await;
    data.map_err(|e| refused("the mail was refused", &e))?;
    let answer = server.message(mail).await;
    let answer = answer.map_err(|e| refused("the mail was refused", &e))?;
    let said = answer.first_line().unwrap_or("taken");
    let told = format!("{taken} of {} addresses: {} {said}", to.len(), answer.code());
    Ok(if refusals.is_empty() { told } else { format!("{told}; {refusals}") })
}

fn refused(what: &str, error: &lettre::transport::smtp::Error) -> Fault {
    let detail = format!("{what}: {}", causes::told(error));
    let retry = !error.is_permanent() && !error.is_client();
    Fault { retry, after: None, detail }
}
