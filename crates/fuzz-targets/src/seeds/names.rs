//! Routes, feeds, rings, ranges and versions.

use super::{Book, manifests};

pub(super) fn write(book: &mut Book) {
    let names = &["url_key"];
    for (family, paths) in manifests::PATHS {
        book.family(names, family, paths);
    }
    book.honest(names, "route", "/downloads/endpoint/manifest/artifacts-9.0.0-beta1.zip");
    book.honest(names, "feed", "elastic/8.18.3/candidate@2026-01-15");
    book.family(names, "c08-long", [format!("/{}", "a".repeat(256)), "/a".repeat(33), "/abcdefg".repeat(129)]);
    book.family(
        names,
        "feeds",
        [
            "elastic/9.0.0",
            "elastic/9.0.0/stable",
            "elastic/9..0",
            "elastic/9.0.0@2026-13-01",
            "defender/mac/preview/arm64",
            "defender/linux/production",
            "defender/../../x",
            "sophos/1",
            "elastic/9.0.0.",
            "elastic/CON",
            "elastic/9.0.0-{date}",
        ],
    );
    book.family(
        names,
        "rings-and-digests",
        ["broad", "con", "com1", "a-b-c", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    );
    book.family(
        names,
        "ranges",
        ["10.0.0.0/8", "10.1.2.3", "::/0", "::ffff:10.0.0.0/104", "10.0.0.1/8", "fe80::%1/64", "0/0"],
    );
    versions(book);
}

fn versions(book: &mut Book) {
    let order = &["version_order"];
    book.honest(order, "releases", "1.0.10\n1.0.9\n1.0.9-rc1");
    book.family(
        order,
        "c19-versions",
        [
            "1.0\n1.0.0\n1",
            "01.0.9\n1.0.9\n1.0.09",
            "9.0.0-beta1\n9.0.0-beta.2\n9.0.0",
            "1.a\n1.0\n1",
            "1..1\n1.0.1\n1.1",
            "1-\n1-0\n1",
            "1+a\n1+b\n1",
            "1-a+b\n1-a\n1+b-a",
            "1.99999999999999999999999999999999999999999\n1.1\n1.18446744073709551616",
            "1.٣\n1.3\n1",
            "\n\n",
            "1.0.0-1\n1.0.0-01\n1.0.0-a",
            "1A\n1a\n1",
        ],
    );
}
