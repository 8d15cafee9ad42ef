//! The graph of operations as graphology JSON.

use serde_json::{Value, json};

use super::OperationView;
use crate::compat::TypeCompat;

impl OperationView<'_> {
    /// The visible part of the graph as graphology JSON, nodes and edges by id.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let nodes: Vec<Value> = self
            .operations()
            .map(|operation| {
                json!({
                    "key": operation.id,
                    "attributes": {
                        "name": operation.id.name(),
                        "namespace": operation.id.namespace(),
                        "type": operation.operation_type,
                        "version": operation.version,
                        "inputSchema": operation.input_schema,
                        "outputSchema": operation.output_schema,
                    },
                })
            })
            .collect();
        let edges: Vec<Value> = self
            .edges()
            .into_iter()
            .map(|(from, to, found)| {
                let mut attributes = json!({
                    "edgeType": "typed",
                    "compatible": true,
                    "detail": format!("what {from} gives is what {to} takes"),
                });
                if let TypeCompat::Compatible {
                    needs_projection,
                    unchecked,
                } = found
                {
                    if *needs_projection {
                        attributes["needsProjection"] = json!(true);
                    }
                    if !unchecked.is_empty() {
                        attributes["unchecked"] = json!(unchecked);
                    }
                }
                json!({
                    "key": format!("{from}->{to}"),
                    "source": from,
                    "target": to,
                    "attributes": attributes,
                })
            })
            .collect();
        json!({
            "attributes": {},
            "options": { "type": "directed", "multi": false, "allowSelfLoops": false },
            "nodes": nodes,
            "edges": edges,
        })
    }
}
