//! The `action=info` document.

use model::Timestamp;

use crate::fault::InfoFault;

/// The document in the one shape that is public.
pub(super) fn info(engine: &str, definitions: &str, published: Timestamp) -> String {
    let date = published.to_string().replace('T', " ");
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<versions><engine>{engine}</engine>\
         <platform>4.18.26080.4</platform><signatures date=\"{date}\">{definitions}</signatures></versions>"
    )
}

/// The document with a fault in it.
pub(crate) fn faulty_info(honest: &str, definitions: &str, fault: &InfoFault) -> Vec<u8> {
    let text = match fault {
        InfoFault::OtherVersion => honest.replace(definitions, "1.459.999.0"),
        InfoFault::NoVersions => honest.replace(definitions, ""),
        InfoFault::NotXml => "Service unavailable".to_owned(),
        InfoFault::WrongRoot => honest.replace("versions>", "html>"),
        InfoFault::Doctype => honest.replacen(
            "<versions>",
            "<!DOCTYPE versions [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">\
             <!ENTITY x SYSTEM \"file:///etc/passwd\">]><versions><note>&b;&x;</note>",
            1,
        ),
        InfoFault::Hostile => honest.replace(definitions, "$(id);`id`&lt;img onerror=1&gt;{{7*7}}"),
        InfoFault::Attribute => honest.replacen("<engine>", "<engine build=\"release\">", 1),
        InfoFault::Twice => honest.replace("</versions>", "<engine>9.9.9.9</engine></versions>"),
        InfoFault::Huge => honest.replace("<platform>", &format!("<platform>{}", "4".repeat(8 << 20))),
    };
    text.into_bytes()
}
