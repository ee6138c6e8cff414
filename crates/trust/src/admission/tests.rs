use super::*;
use model::Digest;

fn version(text: &str) -> VendorVersion {
    VendorVersion::plain(text.parse().unwrap())
}

fn proposal(text: &str, artifacts: usize, size: u64) -> Proposal {
    let feed = "elastic/9.0.0".parse().unwrap();
    let made = Proposal::new(feed, version(text), Checked::VendorHashed);
    (0..artifacts).fold(made, |made, index| {
        let route = format!("/downloads/{text}/{index}").parse().unwrap();
        made.item(route, Held::attest(Digest::of(&index.to_be_bytes()), size), ItemKind::Artifact)
    })
}

fn judged(proposal: Proposal, context: &Context) -> Decision {
    decide(proposal, Attestation::PublicTls, Provenance::default(), context, Timestamp::from_micros(1))
}

fn after(text: &str, artifacts: usize, size: u64) -> Context {
    let Decision::Admitted(first) = judged(proposal(text, artifacts, size), &Context::default()) else {
        panic!("a first release is admitted")
    };
    let release = first.into_release();
    Context { mark: Some(release.vendor_version.clone()), last: Some(release.items), ..Context::default() }
}

#[track_caller]
fn check(proposal: Proposal, context: &Context, expected: &[Reason]) {
    let reasons = match judged(proposal, context) {
        Decision::Admitted(admitted) => admitted.release().verdict.reasons.clone(),
        Decision::Quarantined(release) | Decision::RejectedBefore(release) => release.verdict.reasons,
    };
    assert_eq!(reasons.iter().map(|note| note.reason).collect::<Vec<_>>(), expected);
}

#[test]
fn newer_is_admitted_older_is_not_u38() {
    let before = after("1.0.10", 4, 10);
    check(proposal("1.0.11", 4, 10), &before, &[]);
    check(proposal("1.0.9", 4, 10), &before, &[Reason::VersionRegression]);
}

#[test]
fn same_version_other_bytes_u39() {
    let mut before = after("1.0.10", 4, 10);
    before.same_version = vec![proposal("1.0.10", 4, 10).id()];
    check(proposal("1.0.10", 5, 10), &before, &[Reason::SameVersionOtherBytes]);
}

#[test]
fn coming_back_under_the_version_of_what_is_served_u39() {
    let mut before = after("1.0.10", 4, 10);
    let other = proposal("1.0.10", 5, 10).id();
    for known in [ReleaseState::Admitted, ReleaseState::Expired] {
        before.known = Some(known);
        before.served_instead = None;
        check(proposal("1.0.10", 4, 10), &before, &[]);
        before.served_instead = Some(other);
        check(proposal("1.0.10", 4, 10), &before, &[Reason::SameVersionOtherBytes]);
        check(proposal("1.0.10", 5, 10), &before, &[]);
    }
}

#[test]
fn fast_forward_u40() {
    let before = after("1.0.10", 4, 10);
    check(proposal("1.0.999999", 4, 10), &before, &[Reason::VersionLeap]);
    check(proposal("999999.0.0", 4, 10), &before, &[Reason::VersionLeap]);
    check(proposal("1.1.4000000000", 4, 10), &before, &[Reason::VersionLeap]);
    check(proposal("1.0.10.4000000000", 4, 10), &before, &[Reason::VersionLeap]);
    check(proposal("1.1.0", 4, 10), &before, &[]);
    check(proposal("1.1.900", 4, 10), &before, &[]);
}

#[test]
fn a_first_set_without_artifacts_waits_for_a_person_u52() {
    check(proposal("1.0.1", 0, 0), &Context::default(), &[Reason::SetShrank]);
}

#[test]
fn shrunk_and_grown_u52() {
    let before = after("1.0.10", 40, 1 << 20);
    check(proposal("1.0.11", 4, 1 << 20), &before, &[Reason::SetShrank]);
    check(proposal("1.0.11", 0, 0), &before, &[Reason::SetShrank]);
    check(proposal("1.0.11", 40, 5 << 20), &before, &[Reason::SetGrew]);
    check(proposal("1.0.11", 30, 2 << 20), &before, &[]);
}

#[test]
fn as_many_artifacts_of_far_fewer_bytes_u52() {
    // One archive, as Defender has it: emptied, all but emptied, cut in half, published again.
    let before = after("1.0.10", 1, 64 << 10);
    for size in [0, 22, 4 << 10, (32 << 10) - 1] {
        check(proposal("1.0.11", 1, size), &before, &[Reason::SetShrank]);
    }
    for size in [32 << 10, 60 << 10, 68 << 10] {
        check(proposal("1.0.11", 1, size), &before, &[]);
    }
    // Many artifacts, as Elastic has them: what counts is their sum.
    let before = after("1.0.10", 40, 1 << 20);
    check(proposal("1.0.11", 40, (1 << 19) - 1), &before, &[Reason::SetShrank]);
    check(proposal("1.0.11", 40, 1 << 19), &before, &[]);
    check(proposal("1.0.11", 20, 1 << 20), &before, &[]);
    let listed = proposal("1.0.11", 40, 0).item(
        "/manifest".parse().unwrap(),
        Held::attest(Digest::of(b"manifest"), 40 << 20),
        ItemKind::Manifest,
    );
    check(listed, &before, &[Reason::SetShrank]);
}

#[test]
fn small_sets_may_lose_bytes_and_the_bound_is_the_operators_u52() {
    check(proposal("1.0.11", 4, 10), &after("1.0.10", 4, 8000), &[]);
    let mut unbound = after("1.0.10", 1, 64 << 10);
    unbound.bounds.shrink_to_percent = 0;
    check(proposal("1.0.11", 1, 22), &unbound, &[]);
}

#[test]
fn a_quarantine_stands_until_somebody_ends_it() {
    let mut before = after("1.0.10", 4, 10);
    let why = Note { reason: Reason::SameVersionOtherBytes, detail: "other bytes".to_owned() };
    before.standing = vec![why];
    check(proposal("1.0.11", 4, 10), &before, &[]);
    before.known = Some(ReleaseState::Quarantined);
    check(proposal("1.0.11", 4, 10), &before, &[Reason::SameVersionOtherBytes]);
}

#[test]
fn what_the_operator_rejected_stays_rejected() {
    let mut before = after("1.0.10", 4, 10);
    before.known = Some(ReleaseState::Rejected);
    assert!(matches!(judged(proposal("1.0.11", 4, 10), &before), Decision::RejectedBefore(_)));
}

#[test]
fn only_an_admitted_record_restores() {
    let Decision::Admitted(first) = judged(proposal("1.0.1", 1, 1), &Context::default()) else { panic!() };
    let release = first.into_release();
    for state in [ReleaseState::Quarantined, ReleaseState::Rejected, ReleaseState::Expired] {
        assert_eq!(Admitted::restore(release.clone(), state), None);
    }
    assert!(Admitted::restore(release, ReleaseState::Admitted).is_some());
}
