//! The engine's signature, with keys that were given: the vendor's own scheme is not published.

use trust::KeyRing;
use vendor_sim::SigningKey;

use super::world::{World, archive, folder, lay_out, versions};

/// What an archive is made of.
type Members<'m> = &'m [(&'m str, &'m [u8])];

fn signed(key: &SigningKey, engine: &[u8]) -> Vec<u8> {
    let signature = key.sign(engine).unwrap();
    archive(&[("libmpengine.so", engine), ("libmpengine.so.sig", &signature), ("mpavbase.vdm", b"base")])
}

fn ring(key: &SigningKey) -> Option<KeyRing> {
    Some(KeyRing::empty().with_pem(&key.public_key_pem().unwrap()).unwrap())
}

#[tokio::test]
async fn an_engine_that_no_key_signed_is_not_loaded() {
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let mut world = World::new();
    let root = world.folder.path().join("production");
    world.endpoint.engine_keys = ring(&key);
    lay_out(&root, &signed(&key, b"engine one"), &versions("1.459.1.0"));
    assert!(world.update(&folder(&root)).await.is_good());
    assert!(world.endpoint.store.current().unwrap().unwrap().engine_key.is_some());

    lay_out(&root, &signed(&other, b"engine two"), &versions("1.459.2.0"));
    let refused = world.update(&folder(&root)).await;
    assert_eq!(refused.attempts[0].result.as_ref().unwrap_err().code, "signature_unverified");
    assert_eq!(world.version().as_deref(), Some("1.459.1.0"));

    lay_out(&root, &super::world::definitions("unsigned"), &versions("1.459.3.0"));
    let unsigned = world.update(&folder(&root)).await;
    assert_eq!(unsigned.attempts[0].result.as_ref().unwrap_err().code, "signature_missing");
}

#[tokio::test]
async fn a_signed_engine_in_another_folder_vouches_for_nothing_but_itself_c32() {
    let key = SigningKey::generate().unwrap();
    let signature = key.sign(b"genuine").unwrap();
    let base = ("mpavbase.vdm", &b"base"[..]);
    let (engine, sig) = ("libmpengine.so", "libmpengine.so.sig");
    let (decoy, decoy_sig) = ("a/libmpengine.so", "a/libmpengine.so.sig");
    let cases: [(Members<'_>, &str); 6] = [
        (&[(decoy, b"genuine"), (engine, b"altered"), (sig, &signature), base], "signature_missing"),
        (&[(decoy, b"genuine"), (decoy_sig, &signature), (engine, b"altered"), base], "signature_missing"),
        (
            &[(decoy, b"genuine"), (decoy_sig, &signature), (engine, b"altered"), (sig, &signature), base],
            "signature_unverified",
        ),
        (&[(engine, b"genuine"), (sig, &signature), (decoy, b"altered"), base], "signature_missing"),
        (&[("b/LibMPEngine.so", b"altered"), (engine, b"genuine"), (sig, &signature), base], "signature_missing"),
        (&[(engine, b"genuine"), (sig, &signature), (decoy, b"genuine"), (decoy_sig, &signature), base], ""),
    ];
    for (members, code) in cases {
        let mut world = World::new();
        let root = world.folder.path().join("production");
        world.endpoint.engine_keys = ring(&key);
        lay_out(&root, &archive(members), &versions("1.459.1.0"));
        let report = world.update(&folder(&root)).await;
        let got = report.attempts[0].result.as_ref().err().map_or("", |fail| fail.code.as_str());
        assert_eq!(got, code, "{report:?}");
        assert_eq!(world.version().is_some(), code.is_empty());
    }
}

#[tokio::test]
async fn agents_before_the_change_check_only_where_they_are_told() {
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    for (version, verify, good) in [
        ("101.25042.0001", "disabled", true),
        ("101.25042.0001", "enabled", false),
        ("101.26062.0005", "disabled", false),
    ] {
        let mut world = World::new();
        let root = world.folder.path().join("production");
        world.endpoint.agent = super::world::agent(version);
        world.endpoint.engine_keys = ring(&key);
        lay_out(&root, &signed(&other, b"engine"), &versions("1.459.1.0"));
        let settings = format!(
            r#"{{"antivirusEngine":{{"offlineDefinitionUpdate":"enabled","offlineDefinitionUpdateUrl":"{}"}},
            "features":{{"offlineDefinitionUpdateVerifySig":"{verify}"}}}}"#,
            root.display()
        );
        assert_eq!(world.update(&settings).await.is_good(), good, "{version} {verify}");
    }
}

#[tokio::test]
async fn what_was_not_checked_is_not_called_checked() {
    let world = World::new();
    let root = world.folder.path().join("production");
    lay_out(&root, &super::world::definitions("a"), &versions("1.459.1.0"));
    let report = world.update(&folder(&root)).await;
    assert!(report.notes.iter().any(|note| note.contains("was not checked")), "{report:?}");
    assert_eq!(world.endpoint.store.current().unwrap().unwrap().engine_key, None);
}
