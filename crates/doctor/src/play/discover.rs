//! What a mirror can be seen to hold. Elastic's versions cannot be listed; Defender's addresses are fixed.

use model::FeedId;

use crate::play::Scene;
use crate::wire::{Ask, Keep};

const PLATFORMS: [&str; 2] = ["linux", "mac"];
const TRACKS: [&str; 2] = ["production", "preview"];
const ARCHITECTURES: [&str; 2] = ["x86_64", "arm64"];

/// Defender's feeds whose archives are answered.
pub(crate) async fn feeds(scene: &Scene<'_>) -> Vec<FeedId> {
    let mut found = Vec::new();
    for platform in PLATFORMS {
        for track in TRACKS {
            for arch in ARCHITECTURES {
                let archive = format!("/{platform}/{track}/arch_{arch}/updates.zip");
                // GET, because a mirror that refuses HEAD holds its feeds all the same.
                let there = scene.client.ask(&Ask::get(&archive), Keep::Nothing).await;
                let feed = format!("defender/{platform}/{track}/{arch}").parse();
                if let (true, Ok(feed)) = (there.is_ok_and(|got| got.head.status == 200), feed) {
                    found.push(feed);
                }
            }
        }
    }
    found
}
