//! What endpoints reported last, out of Elasticsearch: one document each, however many there are.

use outbound::Verb;
use serde_json::{Value, json};

use crate::access::{Access, AccessError, Said};
use crate::elastic::{PolicyResponse, Unread};
use model::shown;

/// The most bytes of one page.
const CAP: u64 = 64 << 20;
/// Endpoints on one page: far below the 65,536 buckets that a cluster takes by default.
const PER_PAGE: usize = 500;
/// The most endpoints that are read.
const MOST: usize = 1_000_000;
/// The id that a policy has before the first one is applied (Kibana leaves such documents out of its own answer).
const INITIAL: &str = "00000000-0000-0000-0000-000000000000";

/// What is read of each document. Nothing is searched in `artifacts`: packages before 8.16.0 did not index it.
const SOURCE: [&str; 18] = [
    "@timestamp",
    "agent.id",
    "agent.version",
    "agent.build.original",
    "host.hostname",
    "host.name",
    "host.os.type",
    "Endpoint.policy.applied.id",
    "Endpoint.policy.applied.name",
    "Endpoint.policy.applied.status",
    "Endpoint.policy.applied.artifacts.global.version",
    "Endpoint.policy.applied.artifacts.global.snapshot",
    "Endpoint.policy.applied.artifacts.global.update_age",
    "Endpoint.policy.applied.artifacts.global.channel",
    "Endpoint.policy.applied.artifacts.global.manifest_type",
    "Endpoint.policy.applied.actions.name",
    "Endpoint.policy.applied.actions.status",
    "Endpoint.policy.applied.actions.message",
];

/// Elasticsearch.
#[derive(Clone)]
pub struct Elasticsearch {
    access: Access,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The data streams, such as `metrics-endpoint.policy-*`.
    pub index: String,
    /// How many days back.
    pub days: u64,
}

impl Default for Question {
    fn default() -> Self {
        Self { index: "metrics-endpoint.policy-*".to_owned(), days: 30 }
    }
}

/// What all endpoints reported last.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// Those whose document could be read.
    pub endpoints: Vec<PolicyResponse>,
    /// The others.
    pub unread: Vec<Unread>,
    /// How many questions it took.
    pub pages: usize,
}

/// Why a fleet could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// There was no usable answer.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// 401.
    #[error("Elasticsearch does not know the key (401): {0}; it may be expired, revoked, or one of another cluster")]
    Unauthorized(String),
    /// 403.
    #[error("the key may not read {index} (403): {message}; it needs the privilege 'read' on it")]
    Forbidden {
        /// What.
        index: String,
        /// In its words.
        message: String,
    },
    /// 404.
    #[error("there is no {index} (404): {message}; Elastic Defend writes metrics-endpoint.policy-NAMESPACE")]
    Missing {
        /// What.
        index: String,
        /// In its words.
        message: String,
    },
    /// Another status.
    #[error("Elasticsearch answered {status}: {message}")]
    Status {
        /// Which.
        status: u16,
        /// In its words.
        message: String,
    },
    /// It answered in part: what is missing could be what is behind.
    #[error("Elasticsearch answered in part ({0}), which is no answer: try again when the cluster is well")]
    Partial(String),
    /// Nothing matches, or the key sees nothing.
    #[error(
        "no data stream matches {0}, or the key sees none: it needs the privilege 'read' on it, and a key without it sees \
         an empty cluster instead of a refusal"
    )]
    Nothing(String),
    /// It is not laid out as documented.
    #[error("Elasticsearch's answer has no {0}: this is not what its API is documented to answer")]
    Shape(&'static str),
    /// It goes on and on.
    #[error("Elasticsearch's pages have no end: {0}")]
    Endless(&'static str),
}

impl Elasticsearch {
    /// Elasticsearch behind this way.
    pub fn new(access: Access) -> Self {
        Self { access }
    }

    /// The newest document of each endpoint; `told` hears how many there are so far.
    ///
    /// # Errors
    /// [`FleetError`] when the fleet cannot be read whole.
    pub async fn fleet(&self, question: &Question, mut told: impl FnMut(usize) + Send) -> Result<Fleet, FleetError> {
        let mut fleet = Fleet::default();
        let mut after: Option<Value> = None;
        loop {
            let body = request(question, after.as_ref());
            let path = format!("/{}/_search", escaped(&question.index));
            let said = self.access.ask(Verb::Post, &path, Some(&body), CAP).await?;
            let page = page(question, said)?;
            fleet.pages += 1;
            for document in &page.documents {
                match PolicyResponse::read(document) {
                    Ok(endpoint) => fleet.endpoints.push(endpoint),
                    Err(unread) => fleet.unread.push(unread),
                }
            }
            let count = fleet.endpoints.len() + fleet.unread.len();
            told(count);
            if count > MOST {
                return Err(FleetError::Endless("more than a million endpoints"));
            }
            match page.next {
                None => return Ok(fleet),
                Some(next) if after.as_ref() == Some(&next) => {
                    return Err(FleetError::Endless("the same page comes twice"));
                }
                next => after = next,
            }
        }
    }
}

/// One page: every endpoint behind `after`, in the order of ids, each with its newest document.
fn request(question: &Question, after: Option<&Value>) -> Value {
    let mut composite = json!({"size": PER_PAGE, "sources": [{"agent": {"terms": {"field": "agent.id"}}}]});
    if let (Some(after), Value::Object(members)) = (after, &mut composite) {
        members.insert("after".to_owned(), after.clone());
    }
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {
            "filter": [{"range": {"@timestamp": {"gte": format!("now-{}d", question.days)}}}],
            "must_not": [{"term": {"Endpoint.policy.applied.id": INITIAL}}],
        }},
        "aggs": {"endpoints": {
            "composite": composite,
            "aggs": {"newest": {"top_hits": {
                "size": 1, "sort": [{"@timestamp": {"order": "desc"}}], "_source": {"includes": SOURCE},
            }}},
        }},
    })
}

struct Page {
    documents: Vec<Value>,
    next: Option<Value>,
}

fn page(question: &Question, said: Said) -> Result<Page, FleetError> {
    let (message, index) = (said.message(), question.index.clone());
    match said.status {
        200 => {}
        401 => return Err(FleetError::Unauthorized(message)),
        403 => return Err(FleetError::Forbidden { index, message }),
        404 => return Err(FleetError::Missing { index, message }),
        status => return Err(FleetError::Status { status, message }),
    }
    let mut value = said.value;
    let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
    if value.get("timed_out") == Some(&Value::Bool(true)) {
        return Err(FleetError::Partial("it ran out of time".to_owned()));
    }
    let (total, failed) = (number("/_shards/total"), number("/_shards/failed").unwrap_or(0));
    if failed > 0 {
        let of = total.map_or_else(String::new, |total| format!(" of {total}"));
        let why = value.pointer("/_shards/failures/0/reason/reason").and_then(Value::as_str);
        let why = why.map(|why| format!(": {}", shown(why, 200))).unwrap_or_default();
        return Err(FleetError::Partial(format!("{failed}{of} shards failed{why}")));
    }
    let Some(endpoints) = value.pointer_mut("/aggregations/endpoints") else {
        // Without an index there is nothing to aggregate.
        return Err(if total == Some(0) {
            FleetError::Nothing(index)
        } else {
            FleetError::Shape("object 'aggregations.endpoints'")
        });
    };
    let next = endpoints.get("after_key").filter(|key| key.is_object()).cloned();
    let buckets = endpoints.get_mut("buckets").and_then(Value::as_array_mut);
    let buckets = buckets.ok_or(FleetError::Shape("array 'buckets'"))?;
    let documents: Vec<Value> = buckets
        .iter_mut()
        .filter_map(|bucket| bucket.pointer_mut("/newest/hits/hits/0/_source").map(Value::take))
        .collect();
    if documents.len() != buckets.len() {
        return Err(FleetError::Shape("document in each bucket"));
    }
    // A page without buckets is the last one, whatever key it has.
    Ok(Page { next: next.filter(|_| !documents.is_empty()), documents })
}

/// The name of data streams as a path takes it; patterns and lists are meant.
fn escaped(index: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*' | b',' | b':');
    index.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Page, String> {
        page(&Question::default(), Said { status: 200, value }).map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_in_part_is_none_u03() {
        let whole = json!({"timed_out": false, "_shards": {"total": 2, "failed": 0},
            "aggregations": {"endpoints": {"after_key": {"agent": "a"},
                "buckets": [{"newest": {"hits": {"hits": [{"_source": {"x": 1}}]}}}]}}});
        let page = read(whole.clone()).unwrap();
        assert_eq!((page.documents.len(), page.next), (1, Some(json!({"agent": "a"}))));
        let with = |pointer: &str, to: Value| {
            let mut value = whole.clone();
            *value.pointer_mut(pointer).unwrap() = to;
            read(value).map(|page| page.next).unwrap_err()
        };
        assert!(with("/timed_out", json!(true)).contains("out of time"));
        assert!(with("/_shards/failed", json!(1)).contains("1 of 2 shards"));
        assert!(with("/aggregations/endpoints/buckets", json!({})).contains("array 'buckets'"));
        assert!(with("/aggregations/endpoints/buckets/0/newest", json!(null)).contains("in each bucket"));
        assert!(with("/aggregations", json!({})).contains("'aggregations.endpoints'"));
        assert!(read(json!({"_shards": {"total": 0}})).err().unwrap().contains("the key sees none"));
        assert!(read(json!(null)).is_err());
        let last = json!({"aggregations": {"endpoints": {"after_key": {"agent": "a"}, "buckets": []}}});
        assert_eq!(read(last).unwrap().next, None);
    }

    #[test]
    fn a_name_is_no_path_a09() {
        assert_eq!(escaped("metrics-endpoint.policy-*"), "metrics-endpoint.policy-*");
        assert_eq!(escaped("a/../_all?x#"), "a%2F..%2F_all%3Fx%23");
    }
}
