//! The JSON form of a spec, which names `type`, `_meta` and the optional members as peers know them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{
    AccessControl, ErrorDefinition, JsonObject, Namespace, OperationName, OperationSpec,
    OperationType, RecordPolicy, Schema, SpecError, SpecExt, SpecOwner,
};
use crate::issue::{Issue, pointer_join};

/// A spec as it stands on the wire. Members it does not know are dropped.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    name: OperationName,
    namespace: Namespace,
    version: semver::Version,
    #[serde(rename = "type")]
    kind: OperationType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    description: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    input_schema: Schema,
    output_schema: Schema,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    error_schemas: Vec<ErrorDefinition>,
    access_control: AccessControl,
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    meta: Option<JsonObject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotent: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<RecordPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource_id_from: Option<String>,
}

impl OperationSpec {
    /// Reads a spec from JSON and checks every rule.
    ///
    /// # Errors
    /// [`SpecError`] with the pointer of the first member that does not read, or with every rule
    /// that is broken.
    pub fn from_json(json: &Value, owner: SpecOwner) -> Result<Self, SpecError> {
        let spec: Self = serde_path_to_error::deserialize(json).map_err(|error| SpecError {
            issues: vec![Issue::new(
                pointer(error.path()),
                "spec",
                error.inner().to_string(),
            )],
        })?;
        spec.check(owner)?;
        Ok(spec)
    }
}

impl Serialize for OperationSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            version: self.version.clone(),
            kind: self.kind,
            title: self.title.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            input_schema: self.input_schema.clone(),
            output_schema: self.output_schema.clone(),
            error_schemas: self.error_schemas.clone(),
            access_control: self.access_control.clone(),
            meta: self.meta.clone(),
            idempotent: self.ext.idempotent,
            record: self.ext.record,
            timeout_ms: self.ext.timeout.map(milliseconds),
            resource_id_from: self.ext.resource_id_from.clone(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OperationSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        Ok(Self {
            namespace: wire.namespace,
            name: wire.name,
            version: wire.version,
            kind: wire.kind,
            title: wire.title,
            description: wire.description,
            tags: wire.tags,
            input_schema: wire.input_schema,
            output_schema: wire.output_schema,
            error_schemas: wire.error_schemas,
            access_control: wire.access_control,
            meta: wire.meta,
            ext: SpecExt {
                idempotent: wire.idempotent,
                record: wire.record,
                timeout: wire.timeout_ms.map(Duration::from_millis),
                resource_id_from: wire.resource_id_from,
            },
        })
    }
}

/// The path of a serde error as a JSON Pointer.
pub(crate) fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;

    path.iter()
        .fold(String::new(), |pointer, segment| match segment {
            Segment::Seq { index } => pointer_join(&pointer, &index.to_string()),
            Segment::Map { key } => pointer_join(&pointer, key),
            // A variant is named by its content, not by a member of its own.
            Segment::Enum { .. } | Segment::Unknown => pointer,
        })
}

fn milliseconds(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)
}
