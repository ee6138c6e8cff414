//! The address guard, down to the connection.

use model::Reason;
use outbound::{ClientSettings, HttpClient, Outbound as _};
use url::Url;

use super::server::{Server, collect, get, ok, refused, settings};

#[tokio::test]
async fn loopback_is_reached_only_by_a_name_that_is_configured_u19() {
    let server = Server::start(vec![ok("x")]).await;
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"] {
        let url = Url::parse(&format!("http://{host}:{}/", server.port)).unwrap();
        let closed = ClientSettings { named_hosts: vec!["mirror.internal".into()], ..settings() };
        assert_eq!(refused(closed, url).await.reason, Reason::AddressRefused, "{host}");
    }
    assert!(server.heads().is_empty());
    let url = Url::parse(&format!("http://LOCALHOST:{}/", server.port)).unwrap();
    let named = ClientSettings { named_hosts: vec!["localhost".into()], ..settings() };
    assert_eq!(collect(&mut get(named.clone(), url).await.unwrap()).await.unwrap(), b"x");
    assert!(HttpClient::new(named).unwrap().checks_addresses());
}

#[tokio::test]
async fn a_name_without_addresses_u48() {
    // Too long for any resolver to ask about, so the answer comes from this machine.
    let name = ["a"; 200].join(".");
    let error = refused(settings(), Url::parse(&format!("http://{name}.invalid/")).unwrap()).await;
    assert_eq!(error.reason, Reason::DnsFailed, "{error}");
}
