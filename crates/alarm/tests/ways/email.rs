//! A relay that takes mail, and relays that do not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alarm::{Email, EmailSettings, EmailTls, Sink as _};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::TcpListener;

use crate::bench::{hostile, one, within};

/// How a relay answers.
#[derive(Clone, Copy)]
enum Manner {
    Takes,
    RefusesRecipients,
    Silent,
}

/// All that was said to a relay, line by line.
type Said = Arc<Mutex<Vec<String>>>;

async fn relay(manner: Manner) -> (u16, Said) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let said: Said = Arc::default();
    let heard = Arc::clone(&said);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, manner, Arc::clone(&heard)));
        }
    });
    (port, said)
}

/// As much SMTP as a mail takes (RFC 5321).
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, manner: Manner, said: Said) {
    let mut stream = BufStream::new(stream);
    if matches!(manner, Manner::Silent) {
        std::future::pending::<()>().await;
    }
    let mut data = false;
    let mut answer = "220 relay.test\r\n".to_owned();
    loop {
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            said.lock().unwrap().push(line.trim_end_matches("\r\n").to_owned());
            if !data || line == ".\r\n" {
                break;
            }
        }
        let verb = line.trim_end().split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        answer = match (data, verb.as_str()) {
            (true, _) => {
                data = false;
                "250 taken\r\n".to_owned()
            }
            (_, "EHLO") => "250-relay.test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n".to_owned(),
            (_, "RCPT") if matches!(manner, Manner::RefusesRecipients) => "550 5.1.1 no such mailbox\r\n".to_owned(),
            (_, "DATA") => {
                data = true;
                "354 go on\r\n".to_owned()
            }
            (_, "QUIT") => "221 bye\r\n".to_owned(),
            _ => "250 fine\r\n".to_owned(),
        };
    }
}

fn email(port: u16, tls: EmailTls) -> Email {
    let settings = EmailSettings {
        relay: ("127.0.0.1".to_owned(), port),
        tls,
        login: None,
        from: "waystation@example.com".to_owned(),
        to: vec!["ops@example.com".to_owned(), "night@example.com".to_owned()],
        ca_pem: None,
        timeout: Duration::from_secs(10),
    };
    Email::new(settings).unwrap()
}

#[tokio::test]
async fn a_mail_with_its_headers() {
    let (port, said) = relay(Manner::Takes).await;
    email(port, EmailTls::Off).tell(&one()).await.unwrap();
    let said = said.lock().unwrap().clone();
    let all = said.join("\n");
    for line in [
        "MAIL FROM:<waystation@example.com>",
        "RCPT TO:<ops@example.com>",
        "RCPT TO:<night@example.com>",
        "From: waystation@example.com",
        "To: ops@example.com, night@example.com",
        "Subject: [waystation dmz-1] FAIL connect_failed: elastic/9.0.0",
        "Date: Fri, 20 Nov 2026 12:00:00 +0000",
        "Auto-Submitted: auto-generated",
        "X-Waystation-Level: fail",
        "X-Waystation-Reason: connect_failed",
        "Reason:     connect_failed",
    ] {
        assert!(said.iter().any(|said| said == line || said.starts_with(line)), "{line} is missing in:\n{all}");
    }
    let id = said.iter().find(|line| line.starts_with("Message-ID: <")).unwrap();
    assert!(id.ends_with("raised@example.com>"), "{id}");
}

#[tokio::test]
async fn nothing_hostile_makes_a_header_a_recipient_or_an_end_c36() {
    let (port, said) = relay(Manner::Takes).await;
    email(port, EmailTls::Off).tell(&hostile()).await.unwrap();
    let said = said.lock().unwrap().clone();
    let all = said.join("\n");
    assert!(!said.iter().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{all}");
    assert_eq!(said.iter().filter(|line| line.starts_with("RCPT")).count(), 2, "{all}");
    assert_eq!(said.iter().filter(|line| line.as_str() == ".").count(), 1, "{all}");
    assert!(said.iter().all(|line| line.len() <= 998 && !line.contains(|c: char| c.is_control())), "{all}");
}

#[tokio::test]
async fn without_tls_nothing_is_sent_where_tls_is_asked_for() {
    let (port, said) = relay(Manner::Takes).await;
    let error = email(port, EmailTls::StartTls).tell(&one()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("the relay 127.0.0.1:{port} did not take the mail")), "{error}");
    let said = said.lock().unwrap().clone();
    assert!(!said.iter().any(|line| line.starts_with("MAIL")), "{said:?}");
}

#[tokio::test]
async fn one_that_refuses_is_silent_or_gone_r24() {
    let (port, _) = relay(Manner::RefusesRecipients).await;
    let error = email(port, EmailTls::Off).tell(&one()).await.unwrap_err().to_string();
    assert!(error.contains("no such mailbox"), "{error}");
    let (port, _) = relay(Manner::Silent).await;
    let error = within(email(port, EmailTls::Off), Duration::from_millis(300)).await.unwrap_err().to_string();
    assert!(error.contains("nothing came of it"), "{error}");
    assert!(email(1, EmailTls::Off).tell(&one()).await.is_err());
}
