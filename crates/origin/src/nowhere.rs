//! The origin of a vendor of which it is not configured where it is.

use async_trait::async_trait;
use model::{Reason, Vendor};
use vendors::{Ask, FetchedItem, SourceKind, Target, Want};

use crate::{Meter, Origin, OriginError, Reading};

/// Answers every question with the section that is missing; asks nobody.
pub struct Nowhere(pub Vendor);

impl Nowhere {
    fn refusal(&self) -> OriginError {
        let detail = format!("there is no [{}] section, which says where the vendor is: nobody was asked", self.0);
        OriginError::new(Reason::NotFollowed, detail)
    }
}

#[async_trait]
impl Origin for Nowhere {
    fn kind(&self) -> SourceKind {
        SourceKind::Vendor
    }

    fn locate(&self, target: &Target) -> String {
        target.0.clone()
    }

    async fn read(&self, _: &Ask, _: &dyn Meter) -> Result<Reading, OriginError> {
        Err(self.refusal())
    }

    async fn hold(&self, _: &Want, _: &dyn Meter) -> Result<FetchedItem, OriginError> {
        Err(self.refusal())
    }

    async fn size(&self, _: &Target) -> Result<Option<u64>, OriginError> {
        Err(self.refusal())
    }
}
