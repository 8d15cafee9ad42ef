//! The status machines: each listed transition is made, every other one refused, and statuses of
//! different tables agree after any sequence of operations.

use alkhub_storage::calls::{self, CallEnd, NewCall, Running};
use alkhub_storage::coordination::{self, NewMapping, TaskFollows};
use alkhub_storage::enums::{
    AccountStatus, CallStatus, MappingStatus, RegistrationStatus, SpokeStatus, SpokeType,
    TaskStatus,
};
use alkhub_storage::identity;
use alkhub_storage::ids::{
    AccountId, CallGraphNodeId, MappingId, OperationId, SessionId, SpokeId, TaskId,
};
use alkhub_storage::json::Metadata;
use alkhub_storage::spokes::{self, Disconnect, NewRegistration, NewSpoke, Provider};
use alkhub_storage::tasks::{self, StatusChange};
use alkhub_storage::{Database, StorageError, time};
use serde_json::Map;

use crate::rows::{insert, world};
use crate::sql::{count, run, text};
use crate::support::on_each_engine;

async fn status_of(db: &Database, table: &str, id: &str) -> String {
    text(db, &format!("select status from {table} where id = '{id}'"))
        .await
        .unwrap()
}

fn is_illegal<T: std::fmt::Debug>(outcome: &Result<T, StorageError>, expected: &str) -> bool {
    matches!(outcome, Err(StorageError::IllegalTransition { table, .. }) if *table == expected)
}

#[tokio::test]
async fn a_mapping_leaves_active_once_and_for_good() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let id = MappingId::from("mappings");
        for from in MappingStatus::ALL {
            for to in MappingStatus::ALL {
                run(&db, &format!("update mappings set status = '{from}'")).await;
                let transaction = db.begin().await.unwrap();
                let outcome =
                    coordination::set_mapping_status(&transaction, &id, *to, TaskFollows::Same)
                        .await;
                transaction.commit().await.unwrap();
                let now = status_of(&db, "mappings", "mappings").await;
                if from == to || *from == MappingStatus::Active {
                    assert!(outcome.is_ok(), "{from} to {to}: {outcome:?}");
                    assert_eq!(now, to.as_str());
                } else {
                    assert!(
                        is_illegal(&outcome, "mappings"),
                        "{from} to {to}: {outcome:?}"
                    );
                    assert_eq!(now, from.as_str());
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_task_goes_only_where_its_table_leads() {
    use TaskStatus::{Blocked, Completed, Failed, InProgress, Pending};
    const LISTED: &[(TaskStatus, TaskStatus)] = &[
        (Pending, InProgress),
        (Pending, Failed),
        (Pending, Blocked),
        (InProgress, Pending),
        (InProgress, Completed),
        (InProgress, Failed),
        (InProgress, Blocked),
        (Blocked, Pending),
        (Blocked, InProgress),
        (Blocked, Failed),
        (Failed, Pending),
        (Failed, InProgress),
    ];
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let id = TaskId::from("tasks");
        for from in TaskStatus::ALL {
            for to in TaskStatus::ALL {
                for reopen in [false, true] {
                    run(&db, &format!("update tasks set status = '{from}'")).await;
                    let transaction = db.begin().await.unwrap();
                    let change = StatusChange { to: *to, reopen };
                    let outcome = tasks::update_task_status(&transaction, &id, change).await;
                    transaction.commit().await.unwrap();
                    let reopens = reopen && (*from, *to) == (Completed, Pending);
                    let now = status_of(&db, "tasks", "tasks").await;
                    if from == to || reopens || LISTED.contains(&(*from, *to)) {
                        assert!(outcome.is_ok(), "{from} to {to}: {outcome:?}");
                        assert_eq!(now, to.as_str());
                    } else {
                        assert!(is_illegal(&outcome, "tasks"), "{from} to {to}: {outcome:?}");
                        assert_eq!(now, from.as_str());
                    }
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_account_goes_only_where_its_table_leads() {
    use AccountStatus::{Active, Deactivated, Suspended};
    const LISTED: &[(AccountStatus, AccountStatus)] = &[
        (Active, Suspended),
        (Suspended, Active),
        (Active, Deactivated),
        (Suspended, Deactivated),
        (Deactivated, Active),
    ];
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let id = AccountId::from("accounts");
        for from in AccountStatus::ALL {
            for to in AccountStatus::ALL {
                run(&db, &format!("update accounts set status = '{from}'")).await;
                let transaction = db.begin().await.unwrap();
                let outcome = identity::set_account_status(&transaction, &id, *from, *to).await;
                transaction.commit().await.unwrap();
                let now = status_of(&db, "accounts", "accounts").await;
                if from == to || LISTED.contains(&(*from, *to)) {
                    assert!(matches!(outcome, Ok(true)), "{from} to {to}: {outcome:?}");
                    assert_eq!(now, to.as_str());
                } else {
                    assert!(
                        is_illegal(&outcome, "accounts"),
                        "{from} to {to}: {outcome:?}"
                    );
                    assert_eq!(now, from.as_str());
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_ends_once_whoever_comes_second() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        for from in CallStatus::ALL {
            for to in CallStatus::ALL
                .iter()
                .filter(|to| **to != CallStatus::Pending)
            {
                let request_id = format!("{from} to {to}");
                let transaction = db.begin().await.unwrap();
                calls::insert_calls(&transaction, &[call(&request_id, *from)])
                    .await
                    .unwrap();
                let moved = if *to == CallStatus::Running {
                    let running = Running {
                        request_id: request_id.clone(),
                        started_at: time::now(),
                    };
                    calls::mark_running(&transaction, &[running]).await.unwrap()
                } else {
                    calls::finish_calls(&transaction, &[end(&request_id, *to)])
                        .await
                        .unwrap()
                };
                transaction.commit().await.unwrap();
                let listed = match from {
                    CallStatus::Pending => true,
                    CallStatus::Running => *to != CallStatus::Running,
                    _ => false,
                };
                assert_eq!(moved, [listed], "{request_id}");
                let sql = format!(
                    "select status from call_graph_nodes where request_id = '{request_id}'"
                );
                let now = text(&db, &sql).await.unwrap();
                let expected = if listed { to } else { from };
                assert_eq!(now, expected.as_str(), "{request_id}");
            }
        }
    })
    .await;
}

fn call(request_id: &str, status: CallStatus) -> NewCall {
    NewCall {
        id: CallGraphNodeId::random(),
        request_id: request_id.to_owned(),
        operation_id: OperationId::from("operations"),
        parent_request_id: None,
        identity: None,
        caller_account_id: None,
        status,
        input: None,
        output: None,
        error: None,
        started_at: None,
        completed_at: None,
        created_at: time::now(),
        metadata: Map::new(),
    }
}

fn end(request_id: &str, status: CallStatus) -> CallEnd {
    CallEnd {
        request_id: request_id.to_owned(),
        status,
        output: None,
        error: None,
        completed_at: time::now(),
        metadata: Map::new(),
    }
}

#[tokio::test]
async fn a_spoke_comes_and_goes_and_its_offers_with_it() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        let new = NewSpoke {
            id: None,
            account_id: AccountId::from("accounts"),
            project_id: None,
            name: "box".to_owned(),
            spoke_type: SpokeType::DevEnv,
            host_info: None,
            metadata: Metadata::new(),
        };
        let connect = async || {
            let transaction = db.begin().await.unwrap();
            let spoke = spokes::connect_spoke(&transaction, new.clone())
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            spoke
        };
        let disconnect = async |id: &SpokeId| {
            let transaction = db.begin().await.unwrap();
            let whose = Disconnect::Spokes(std::slice::from_ref(id));
            let gone = spokes::disconnect_spokes(&transaction, whose)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            gone
        };
        let register = async |id: &SpokeId| {
            let transaction = db.begin().await.unwrap();
            let offered = NewRegistration {
                operation_id: OperationId::from("operations"),
                pre_remap_namespace: None,
                pre_remap_name: None,
            };
            let provider = Provider::Spoke(id.clone());
            let rows = spokes::register(&transaction, &provider, &[offered])
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            rows
        };

        let first = connect().await;
        assert_eq!(
            (first.status, first.disconnected_at),
            (SpokeStatus::Connected, None)
        );
        let offered = register(&first.id).await;
        assert_eq!(offered[0].status, RegistrationStatus::Active);
        assert_eq!(
            register(&first.id).await,
            offered,
            "active already: nothing is written"
        );

        let gone = disconnect(&first.id).await;
        assert_eq!(gone[0].status, SpokeStatus::Disconnected);
        assert!(gone[0].disconnected_at.is_some());
        let mine = format!("provider_id = '{}' and status = 'active'", first.id);
        assert_eq!(count(&db, "operation_registrations", &mine).await, 0);
        assert!(
            disconnect(&first.id).await.is_empty(),
            "gone already: nothing is written"
        );

        let again = connect().await;
        assert_eq!(
            (&again.id, again.status),
            (&first.id, SpokeStatus::Connected)
        );
        assert_eq!(again.disconnected_at, None);
        let back = register(&again.id).await;
        assert_eq!(
            (&back[0].id, back[0].status),
            (&offered[0].id, RegistrationStatus::Active)
        );
        assert!(back[0].registered_at >= offered[0].registered_at);
    })
    .await;
}

/// Numbers that are the same in every run, from a linear congruence.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides as u64).unwrap()
    }
}

#[tokio::test]
async fn tasks_and_mappings_agree_after_any_sequence_of_operations() {
    const TASKS: usize = 4;
    const STEPS: usize = 400;
    on_each_engine(async |db| {
        run(&db, &world()).await;
        run(&db, "delete from mappings").await;
        for number in 0..TASKS {
            run(&db, &insert("tasks", &format!("t{number}"), &[])).await;
        }
        for number in 0..STEPS {
            run(&db, &insert("sessions", &format!("s{number}"), &[])).await;
        }
        let mut dice = Dice(7);
        for step in 0..STEPS {
            let task = TaskId::from(format!("t{}", dice.roll(TASKS)));
            let transaction = db.begin().await.unwrap();
            let done = match dice.roll(3) {
                0 => spawn(&transaction, &task, &format!("s{step}")).await,
                1 => {
                    let to = TaskStatus::ALL[dice.roll(TaskStatus::ALL.len())];
                    let change = StatusChange {
                        to,
                        reopen: dice.roll(2) == 0,
                    };
                    tasks::update_task_status(&transaction, &task, change)
                        .await
                        .map(drop)
                }
                _ => {
                    let to = MappingStatus::ALL[dice.roll(MappingStatus::ALL.len())];
                    let follows = match dice.roll(3) {
                        0 => TaskFollows::Same,
                        1 => TaskFollows::To(TaskStatus::Failed),
                        _ => TaskFollows::To(TaskStatus::Blocked),
                    };
                    end_mapping(&transaction, &task, to, follows).await
                }
            };
            match done {
                Ok(()) => transaction.commit().await.unwrap(),
                Err(StorageError::IllegalTransition { .. } | StorageError::Rule { .. }) => {
                    transaction.rollback().await.unwrap();
                }
                Err(error) => panic!("step {step}: {error:?}"),
            }
            let broken = coordination::status_mismatches(db.reader()).await.unwrap();
            assert!(broken.is_empty(), "step {step}: {broken:?}");
        }
        let twice = "status = 'active' group by task_id having count(*) > 1";
        assert_eq!(
            text(&db, &format!("select task_id from mappings where {twice}")).await,
            None
        );
        assert!(count(&db, "mappings", "status = 'completed'").await > 3);
        assert!(count(&db, "mappings", "status = 'failed'").await > 3);
        assert!(count(&db, "mappings", "status = 'aborted'").await > 3);
    })
    .await;
}

/// A spawn as the hub makes it: the mapping, and the task in progress, in one transaction.
async fn spawn(
    transaction: &alkhub_storage::DatabaseTransaction,
    task: &TaskId,
    session: &str,
) -> Result<(), StorageError> {
    let new = NewMapping {
        session_id: SessionId::from(session),
        spoke_id: None,
        workspace_id: None,
        parent_session_id: None,
        task_id: Some(task.clone()),
        metadata: Metadata::new(),
    };
    let change = StatusChange {
        to: TaskStatus::InProgress,
        reopen: false,
    };
    tasks::update_task_status(transaction, task, change).await?;
    coordination::create_mapping(transaction, new)
        .await
        .map(drop)
}

async fn end_mapping(
    transaction: &alkhub_storage::DatabaseTransaction,
    task: &TaskId,
    to: MappingStatus,
    follows: TaskFollows,
) -> Result<(), StorageError> {
    match coordination::active_mapping_of_task(transaction, task).await? {
        Some(mapping) => coordination::set_mapping_status(transaction, &mapping.id, to, follows)
            .await
            .map(drop),
        None => Ok(()),
    }
}
