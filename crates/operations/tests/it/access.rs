//! Who may call: the table of the specification, the resource an input names, and the property that
//! more rights never allow less.

use std::collections::BTreeMap;

use alkhub_operations::access::AccessControlError;
use alkhub_operations::{
    AccessControl, Addressed, Caller, Context, Decision, Entry, ErrorCode, HostCapability,
    Identity, Mode, Operation, OperationSpec, Registry, RequestId, SpecOwner, check_access,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{anonymous, constant, identity, registry, spec, with_access, with_input};

/// One line of the table. `narrowing` is the result in the other mode.
struct Case {
    number: u8,
    demand: AccessControl,
    identity: Option<Identity>,
    allowed: bool,
    narrowing: bool,
}

fn with_resources(scopes: &[&str], resources: &[(&str, &[&str])]) -> Option<Identity> {
    let resources = resources
        .iter()
        .map(|(key, actions)| {
            (
                (*key).to_owned(),
                actions.iter().map(|action| (*action).to_owned()).collect(),
            )
        })
        .collect();
    Some(Identity {
        resources,
        ..identity(scopes)
    })
}

fn project_read() -> AccessControl {
    AccessControl::none().with_resource("project", "read")
}

fn refused(json: Value) -> bool {
    serde_json::from_value::<AccessControl>(json).is_err()
}

#[test]
fn cases_037_to_064_the_table_a1_to_a28() {
    let all = |scopes: &[&str]| AccessControl::scopes(scopes.iter().copied());
    let any = |scopes: &[&str]| AccessControl::none().with_any(scopes.iter().copied());
    let known = |scopes: &[&str]| Some(identity(scopes));
    let case = |number, demand, identity, allowed| Case {
        number,
        demand,
        identity,
        allowed,
        narrowing: allowed,
    };
    let unnarrowed = |case: Case| Case {
        narrowing: true,
        ..case
    };
    let resources = |resources: &[(&str, &[&str])]| with_resources(&[], resources);
    let both = || all(&["admin"]).with_any(["task:read", "task:write"]);

    let table = [
        case(1, AccessControl::none(), None, true),
        case(2, all(&["admin"]), None, false),
        case(3, all(&["admin", "write"]), known(&["read"]), false),
        case(4, all(&["read", "write"]), known(&["read"]), false),
        case(
            5,
            all(&["read", "write"]),
            known(&["read", "write", "admin"]),
            true,
        ),
        case(6, any(&["admin", "write"]), known(&["read"]), false),
        case(7, any(&["admin", "write"]), known(&["write"]), true),
        case(8, both(), known(&["admin"]), false),
        case(9, both(), known(&["admin", "task:read"]), true),
        case(10, any(&[]), None, true),
        unnarrowed(case(11, project_read(), resources(&[]), false)),
        unnarrowed(case(12, project_read(), resources(&[]), false)),
        unnarrowed(case(
            13,
            project_read(),
            resources(&[("document:abc", &["read"])]),
            false,
        )),
        case(
            14,
            project_read(),
            resources(&[("project:abc", &["write"])]),
            false,
        ),
        case(
            15,
            project_read(),
            resources(&[("project:abc", &["read"])]),
            true,
        ),
        case(
            16,
            project_read_and_x(),
            resources(&[("project:abc", &["read"])]),
            false,
        ),
        unnarrowed(case(
            17,
            project_read(),
            resources(&[("projectile:abc", &["read"])]),
            false,
        )),
        case(
            18,
            project_read(),
            resources(&[("project:", &["read"])]),
            false,
        ),
        case(
            19,
            project_read(),
            resources(&[("project:*", &["read"])]),
            true,
        ),
        case(23, all(&["admin"]), known(&["Admin"]), false),
        case(24, all(&["task:read"]), known(&["*"]), false),
        case(27, all(&["a", "a"]), known(&["a"]), true),
        case(
            28,
            project_read(),
            resources(&[("project:abc", &["*"])]),
            true,
        ),
    ];
    for Case {
        number,
        demand,
        identity,
        allowed,
        narrowing,
    } in table
    {
        for (mode, expected) in [(Mode::Required, allowed), (Mode::Narrowing, narrowing)] {
            let decision = check_access(&demand, identity.as_ref(), &Addressed::Unbound, mode);
            assert_eq!(decision.is_allow(), expected, "A{number} in {mode:?}");
        }
    }

    // A3 and A4 name what is missing.
    let missing = |demand: &AccessControl| match check_access(
        demand,
        known(&["read"]).as_ref(),
        &Addressed::Unbound,
        Mode::Required,
    ) {
        Decision::Missing(missing) => missing.scopes,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(&all(&["admin", "write"])), ["admin", "write"]);
    assert_eq!(missing(&all(&["read", "write"])), ["write"]);
    // A15: an input that names another project is refused, one that names this is allowed.
    let abc = resources(&[("project:abc", &["read"])]);
    for (id, allowed) in [("abc", true), ("xyz", false)] {
        for mode in [Mode::Required, Mode::Narrowing] {
            let named = Addressed::Ids(vec![id.to_owned()]);
            let decision = check_access(&project_read(), abc.as_ref(), &named, mode);
            assert_eq!(decision.is_allow(), allowed, "A15 {id} {mode:?}");
        }
    }
    // A20 to A22 and A26 are refused when registering; A25 cannot be said.
    for half in ["resourceType", "resourceAction"] {
        assert!(
            refused(json!({ "requiredScopes": [], half: "project" })),
            "A20–A22 {half}"
        );
    }
    let error = serde_json::from_value::<AccessControl>(json!({
        "requiredScopes": [], "customAuth": "x",
    }));
    let said = error.unwrap_err().to_string();
    assert!(
        said.contains(&AccessControlError::CustomAuth.to_string()),
        "A26"
    );
    // An empty text counts as "not set".
    let unset = json!({ "requiredScopes": [], "resourceType": "", "resourceAction": "" });
    assert!(
        serde_json::from_value::<AccessControl>(unset)
            .unwrap()
            .asks_nothing()
    );
}

fn project_read_and_x() -> AccessControl {
    AccessControl::scopes(["x"]).with_resource("project", "read")
}

#[tokio::test]
async fn case_065_a_denial_without_identity_says_so() {
    let operation = with_access(constant("a.op", json!(1)), AccessControl::scopes(["admin"]));
    let registry = registry([operation]);
    let error = registry
        .execute("a.op", None, anonymous())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::UNAUTHENTICATED);
    assert!(error.message.contains("identity required"));
    assert_eq!(error.http_status(), 401);
}

#[tokio::test]
async fn case_066_the_resource_is_the_one_the_input_names() {
    let text = json!({ "type": "string" });
    let operation = |id: &str, schema: Value, from: Option<&str>| {
        let mut operation = with_access(with_input(constant(id, json!(1)), schema), project_read());
        operation.spec.ext.resource_id_from = from.map(str::to_owned);
        operation
    };
    let by_type = json!({ "type": "object", "properties": { "projectId": text, "id": text } });
    let by_id = json!({ "type": "object", "properties": { "id": text } });
    let registry = registry([
        operation("task.list", by_type, None),
        operation(
            "task.pointed",
            json!({ "type": "object" }),
            Some("/ref/project"),
        ),
        operation("task.named", json!({ "type": "object" }), Some("target")),
        operation("project.get", by_id.clone(), None),
        operation("task.get", by_id, None),
    ]);
    let abc = with_resources(&[], &[("project:abc", &["read"])]).unwrap();
    let allowed = |id: &str, input: Value| {
        let caller = Caller::Identity(abc.clone());
        registry
            .get(id)
            .unwrap()
            .authorize(&caller, &input, Mode::Required)
            .is_allow()
    };
    assert!(!allowed("task.list", json!({ "projectId": "xyz" })));
    assert!(allowed(
        "task.list",
        json!({ "projectId": "abc", "id": "xyz" })
    ));
    assert!(allowed(
        "task.pointed",
        json!({ "ref": { "project": "abc" } })
    ));
    assert!(!allowed(
        "task.pointed",
        json!({ "ref": { "project": "xyz" } })
    ));
    assert!(allowed("task.named", json!({ "target": "abc" })));
    assert!(!allowed("task.named", json!({ "target": "xyz" })));
    assert!(allowed("project.get", json!({ "id": "abc" })));
    assert!(!allowed("project.get", json!({ "id": "xyz" })));
    // `id` of another namespace names a task, no project.
    assert!(allowed("task.get", json!({ "id": "xyz" })));
}

#[test]
fn case_067_a_declared_field_that_is_absent_is_denied_unless_nothing_narrows() {
    let schema = |required: Value| {
        json!({
            "type": "object", "required": required,
            "properties": { "projectId": { "type": ["string", "null"] } },
        })
    };
    let entry = |required: Value| {
        let operation = with_input(constant("task.list", json!(1)), schema(required));
        registry([with_access(operation, project_read())])
            .get("task.list")
            .unwrap()
    };
    let decide = |entry: &Entry, identity: Option<Identity>, mode| {
        let caller = Caller::Identity(identity.unwrap());
        entry
            .authorize(&caller, &json!({ "projectId": null }), mode)
            .is_allow()
    };
    let (optional, demanded) = (entry(json!([])), entry(json!(["projectId"])));
    let entries = || with_resources(&[], &[("project:abc", &["*"])]);
    let none = || with_resources(&[], &[]);
    assert!(!decide(&optional, entries(), Mode::Required));
    assert!(!decide(&optional, none(), Mode::Required));
    assert!(decide(&optional, none(), Mode::Narrowing));
    assert!(decide(&demanded, none(), Mode::Narrowing));
    assert!(decide(&optional, entries(), Mode::Narrowing));
    assert!(!decide(&demanded, entries(), Mode::Narrowing));
}

#[test]
fn a_list_of_ids_needs_the_right_on_each() {
    let schema = json!({ "type": "object", "properties": { "projectId": { "type": "array" } } });
    let operation = with_input(constant("task.list", json!(1)), schema);
    let entry = registry([with_access(operation, project_read())])
        .get("task.list")
        .unwrap();
    let two = with_resources(&[], &[("project:a", &["read"]), ("project:b", &["read"])]);
    let caller = Caller::Identity(two.unwrap());
    let allowed = |ids: Value| {
        entry
            .authorize(&caller, &json!({ "projectId": ids }), Mode::Required)
            .is_allow()
    };
    assert!(allowed(json!(["a", "b"])));
    assert!(!allowed(json!(["a", "c"])));
    assert!(!allowed(json!([1])));
    assert!(!allowed(json!([])), "no id is no right");
    assert!(!allowed(json!({ "a": 1 })));
}

#[test]
fn an_entry_without_id_narrows_to_nothing() {
    let nothing = with_resources(&[], &[("project:", &["*"])]);
    let any = Addressed::Ids(vec!["abc".to_owned()]);
    let decision = check_access(&project_read(), nothing.as_ref(), &any, Mode::Narrowing);
    assert!(decision.only_resource_missing());
}

#[test]
fn only_the_holder_of_the_capability_is_the_system() {
    let (ours, theirs) = (HostCapability::new(), HostCapability::new());
    let registry = Registry::new().with_host(&ours);
    let guarded = with_access(constant("a.op", json!(1)), AccessControl::scopes(["admin"]));
    registry.register(guarded).unwrap();
    let entry = registry.get("a.op").unwrap();
    let decide = |caller: &Caller| entry.authorize(caller, &json!({}), Mode::Required);
    assert_eq!(decide(&ours.system()), Decision::Allow);
    assert_eq!(decide(&theirs.system()), Decision::IdentityRequired);
}

#[tokio::test]
async fn the_denial_lists_what_is_missing() {
    let demand = AccessControl::scopes(["a", "b"])
        .with_any(["c"])
        .with_resource("tool", "use");
    let registry = registry([with_access(constant("a.op", json!(1)), demand)]);
    let ctx = Context::new(RequestId::random(), Caller::Identity(identity(&["a"])));
    let error = registry.execute("a.op", None, ctx).await.unwrap_err();
    assert_eq!(error.message, "Access denied for operation: a.op");
    assert_eq!(
        error.details.unwrap(),
        json!({ "missing": ["b", "c"], "anyOf": ["c"], "resource": "tool:use" })
    );
}

#[test]
fn a_spec_whose_access_cannot_be_read_is_refused() {
    let mut json = serde_json::to_value(spec("a.op", "query")).unwrap();
    json["accessControl"] = json!({ "requiredScopes": [], "resourceType": "project" });
    let error = OperationSpec::from_json(&json, SpecOwner::Foreign).unwrap_err();
    assert_eq!(error.issues[0].path, "/accessControl");
    json["accessControl"] = json!({ "requiredScopes": [""] });
    assert!(OperationSpec::from_json(&json, SpecOwner::Foreign).is_err());
    assert!(Operation::from(spec("a.op", "query")).handler.is_none());
}

fn some_scopes() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-c]", 0..4)
}

fn some_resources() -> impl Strategy<Value = BTreeMap<String, Vec<String>>> {
    let actions = prop::collection::vec(prop_oneof!["read", "write", Just("*".to_owned())], 1..3);
    prop::collection::btree_map("(project|tool):[ab*]", actions, 0..3)
}

fn some_demand() -> impl Strategy<Value = AccessControl> {
    let resource = prop::option::of(("project|tool", "read|write"));
    (some_scopes(), some_scopes(), resource).prop_map(|(all, any, resource)| {
        let demand = AccessControl::scopes(all).with_any(any);
        match resource {
            Some((kind, action)) => demand.with_resource(kind, action),
            None => demand,
        }
    })
}

proptest! {
    /// In mode `Narrowing` the first entry of a type narrows, so there the property is about scopes
    /// and about entries of types that have some already.
    #[test]
    fn case_070_more_rights_never_deny(
        demand in some_demand(),
        scopes in some_scopes(),
        more_scopes in some_scopes(),
        resources in some_resources(),
        more_resources in some_resources(),
        named in prop::option::of("[abc]"),
        narrowing in any::<bool>(),
    ) {
        let mode = if narrowing { Mode::Narrowing } else { Mode::Required };
        let addressed = match named {
            Some(id) => Addressed::Ids(vec![id]),
            None => Addressed::Unbound,
        };
        let less = Identity { id: "x".into(), scopes, resources };
        let mut more = less.clone();
        more.scopes.extend(more_scopes);
        for (key, actions) in more_resources {
            let kind = key.split(':').next().unwrap();
            let has_some = less.resources.keys().any(|key| key.starts_with(&format!("{kind}:")));
            if mode == Mode::Required || has_some {
                more.resources.entry(key).or_default().extend(actions);
            }
        }
        let decide = |identity| check_access(&demand, Some(identity), &addressed, mode).is_allow();
        prop_assert!(!decide(&less) || decide(&more));
    }
}
