//! Tells by mail through an SMTP relay.

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::{Message, MessageKind, Sink, SinkError, text};

/// The longest subject, in characters.
const SUBJECT: usize = 150;

/// What it takes to send mail.
pub struct EmailSettings {
    /// The relay's host and port.
    pub relay: (String, u16),
    /// How the line is kept private.
    pub tls: EmailTls,
    /// The user that the relay asks for, and the password.
    pub login: Option<(String, String)>,
    /// The sender's address.
    pub from: String,
    /// The addresses that it goes to.
    pub to: Vec<String>,
    /// Roots beside the system's, as PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// For each answer of the relay.
    pub timeout: Duration,
}

/// How the line to a relay is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailTls {
    /// Plain at first, TLS before anything is said; without TLS nothing is sent.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// Not at all.
    Off,
}

/// Addresses that take mail.
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// The relay's host and port, as messages name it.
    relay: String,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    /// A way by mail; nothing is asked yet.
    ///
    /// # Errors
    /// [`SinkError`] when an address or a certificate is none.
    pub fn new(settings: EmailSettings) -> Result<Self, SinkError> {
        let mailbox = |address: &String| {
            let parsed = address.parse().map_err(|_| SinkError::new(format!("{address} is no mail address")))?;
            Ok(Mailbox::new(None, parsed))
        };
        let from = mailbox(&settings.from)?;
        let to = settings.to.iter().map(mailbox).collect::<Result<Vec<_>, SinkError>>()?;
        let (host, port) = &settings.relay;
        let relay = format!("{host}:{port}");
        let tls = match settings.tls {
            EmailTls::StartTls => Tls::Required(parameters(&settings)?),
            EmailTls::Tls => Tls::Wrapper(parameters(&settings)?),
            EmailTls::Off => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(*port)
            .tls(tls)
            .timeout(Some(settings.timeout));
        if let Some((user, password)) = settings.login {
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self { transport: builder.build(), relay, from, to })
    }

    fn mail(&self, message: &Message) -> Result<lettre::Message, SinkError> {
        let failed = |error: lettre::error::Error| SinkError::of("cannot write the mail", &error);
        let micros = u64::try_from(message.at().as_micros()).unwrap_or(0);
        let id = format!("<{}.{}@{}>", message.id(), message.kind().as_str(), self.from.email.domain());
        let mut builder: MessageBuilder = lettre::Message::builder()
            .from(self.from.clone())
            .date(UNIX_EPOCH + Duration::from_micros(micros))
            .message_id(Some(id))
            .subject(text::line(&message.subject(), SUBJECT))
            .header(ContentType::TEXT_PLAIN)
            .header(ContentTransferEncoding::QuotedPrintable);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let mail = builder.body(message.body()).map_err(failed)?;
        Ok(marked(mail, message))
    }
}

/// Marks for filters: that no person wrote it (RFC 3834), and what it is about. Their values are words of ours.
fn marked(mut mail: lettre::Message, message: &Message) -> lettre::Message {
    let words = [
        ("Auto-Submitted", "auto-generated"),
        ("X-Waystation-Kind", message.kind().as_str()),
        ("X-Waystation-Level", message.level().as_str()),
        ("X-Waystation-Reason", message.reason().unwrap_or("several")),
    ];
    let words = words.into_iter().take(if message.kind() == MessageKind::Test { 2 } else { 4 });
    for (name, value) in words {
        if let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) {
            mail.headers_mut().insert_raw(HeaderValue::new(name, value.to_owned()));
        }
    }
    mail
}

fn parameters(settings: &EmailSettings) -> Result<TlsParameters, SinkError> {
    let failed = |error: lettre::transport::smtp::Error| SinkError::of("cannot use TLS", &error);
    let mut builder = TlsParameters::builder(settings.relay.0.clone());
    if let Some(pem) = &settings.ca_pem {
        for certificate in certificates(pem) {
            builder = builder.add_root_certificate(Certificate::from_pem(&certificate).map_err(failed)?);
        }
    }
    builder.build_rustls().map_err(failed)
}

/// Each certificate of a PEM file apart: the library takes the first of a text alone.
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(pem);
    text.split_inclusive(END).filter(|part| part.contains(END)).map(|part| part.as_bytes().to_vec()).collect()
}

#[async_trait]
impl Sink for Email {
    fn peer(&self) -> Option<String> {
        Some(self.relay.clone())
    }

    async fn tell(&self, message: &Message) -> Result<(), SinkError> {
        let mail = self.mail(message)?;
        let sent = self.transport.send(mail).await;
        sent.map(drop)
            .map_err(|error| SinkError::of(&format!("the relay {} did not take the mail", self.relay), &error))
    }
}
