//! The same random script of repository calls gives the same answers on both engines.
//!
//! Ids and moments differ from run to run, so answers are told by names, words and numbers.

use alkhub_storage::calls::{self, CallEnd, NewCall, Running};
use alkhub_storage::enums::{CallStatus, MembershipLevel, TaskPriority, TaskStatus};
use alkhub_storage::identity::{self, AccountFilter};
use alkhub_storage::ids::{AccountId, CallGraphNodeId, OrganizationId, ProjectId, TaskId};
use alkhub_storage::tasks::{
    self, NewDependency, NewTask, StatusChange, SyncOptions, TaskChanges, TaskFile, TaskFilter,
};
use alkhub_storage::testing::TestDatabase;
use alkhub_storage::{Database, PageRequest, Scope, StorageError, meta, time};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::json;

use crate::world::{account, operations, organization, project};

const SLUGS: [&str; 6] = ["a", "B", "c-1", "c_2", "é", "z%"];
const STATUSES: [TaskStatus; 5] = [
    TaskStatus::Pending,
    TaskStatus::InProgress,
    TaskStatus::Completed,
    TaskStatus::Failed,
    TaskStatus::Blocked,
];

#[derive(Debug, Clone)]
enum Step {
    CreateTask {
        slug: usize,
        priority: usize,
        under: usize,
    },
    RenameTask {
        slug: usize,
        to: usize,
    },
    MoveTask {
        slug: usize,
        status: usize,
        reopen: bool,
    },
    DeleteTask {
        slug: usize,
    },
    Note {
        slug: usize,
    },
    Depend {
        from: usize,
        to: usize,
    },
    Independ {
        from: usize,
        to: usize,
    },
    Ready {
        limit: u64,
    },
    ListTasks {
        status: usize,
        under: usize,
        search: usize,
    },
    Sync {
        files: Vec<(usize, Vec<usize>)>,
        prune: bool,
    },
    Member {
        account: usize,
        level: usize,
    },
    Leave {
        account: usize,
    },
    Transfer {
        account: usize,
    },
    SearchAccounts {
        text: usize,
    },
    PutIf {
        expected: Option<u8>,
        value: u8,
    },
    InsertCalls {
        requests: Vec<(usize, Option<usize>)>,
    },
    RunCalls {
        requests: Vec<usize>,
    },
    EndCalls {
        requests: Vec<usize>,
        failed: bool,
    },
    Tree {
        request: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let slug = 0..SLUGS.len();
    let request = 0..8_usize;
    let requests = prop::collection::btree_set(request.clone(), 1..4)
        .prop_map(|set| set.into_iter().collect::<Vec<_>>());
    prop_oneof![
        (slug.clone(), 0..5_usize, 0..3_usize).prop_map(|(slug, priority, under)| {
            Step::CreateTask {
                slug,
                priority,
                under,
            }
        }),
        (slug.clone(), slug.clone()).prop_map(|(slug, to)| Step::RenameTask { slug, to }),
        (slug.clone(), 0..5_usize, any::<bool>()).prop_map(|(slug, status, reopen)| {
            Step::MoveTask {
                slug,
                status,
                reopen,
            }
        }),
        slug.clone().prop_map(|slug| Step::DeleteTask { slug }),
        slug.clone().prop_map(|slug| Step::Note { slug }),
        (slug.clone(), slug.clone()).prop_map(|(from, to)| Step::Depend { from, to }),
        (slug.clone(), slug.clone()).prop_map(|(from, to)| Step::Independ { from, to }),
        (1..5_u64).prop_map(|limit| Step::Ready { limit }),
        (0..6_usize, 0..4_usize, 0..4_usize).prop_map(|(status, under, search)| Step::ListTasks {
            status,
            under,
            search
        }),
        (
            prop::collection::btree_map(
                slug.clone(),
                prop::collection::btree_set(slug, 0..3).prop_map(|set| set.into_iter().collect()),
                1..4,
            ),
            any::<bool>(),
        )
            .prop_map(|(files, prune)| Step::Sync {
                files: files.into_iter().collect(),
                prune
            }),
        (0..3_usize, 0..3_usize).prop_map(|(account, level)| Step::Member { account, level }),
        (0..3_usize).prop_map(|account| Step::Leave { account }),
        (0..3_usize).prop_map(|account| Step::Transfer { account }),
        (0..4_usize).prop_map(|text| Step::SearchAccounts { text }),
        (prop::option::of(0..3_u8), 0..3_u8)
            .prop_map(|(expected, value)| Step::PutIf { expected, value }),
        prop::collection::btree_map(request.clone(), prop::option::of(request.clone()), 1..4)
            .prop_map(|map| Step::InsertCalls {
                requests: map.into_iter().collect()
            }),
        requests
            .clone()
            .prop_map(|requests| Step::RunCalls { requests }),
        (requests, any::<bool>())
            .prop_map(|(requests, failed)| Step::EndCalls { requests, failed }),
        request.prop_map(|request| Step::Tree { request }),
    ]
}

#[test]
fn a_random_script_gives_the_same_answers_on_both_engines() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    runner
        .run(&prop::collection::vec(step(), 20..60), |steps| {
            let (sqlite, postgres) = runtime.block_on(async {
                let sqlite = TestDatabase::sqlite().await;
                let first = answers(&sqlite, &steps).await;
                sqlite.remove().await;
                let postgres = TestDatabase::postgres().await;
                let told = answers(&postgres, &steps).await;
                postgres.remove().await;
                (first, told)
            });
            for (step, (left, right)) in steps.iter().zip(sqlite.iter().zip(&postgres)) {
                if left != right {
                    return Err(TestCaseError::fail(format!(
                        "{step:?}\nSQLite:     {left}\nPostgreSQL: {right}"
                    )));
                }
            }
            Ok(())
        })
        .unwrap();
}

struct World<'a> {
    db: &'a Database,
    project: ProjectId,
    organization: OrganizationId,
    accounts: Vec<AccountId>,
    operation: alkhub_storage::ids::OperationId,
}

async fn answers(db: &Database, steps: &[Step]) -> Vec<String> {
    let mut accounts = Vec::new();
    for name in ["ada", "Bob_1", "bob%2"] {
        accounts.push(account(db, name).await.id);
    }
    let organization = organization(db, "acme", &accounts[0]).await.id;
    let project = project(db, "p", Some(&organization), &accounts[0]).await.id;
    let operation = operations(db, "n", &["o"]).await.remove(0).id;
    let world = World {
        db,
        project,
        organization,
        accounts,
        operation,
    };
    let mut told = Vec::new();
    for step in steps {
        told.push(world.answer(step).await);
    }
    told
}

/// What happened, in words both engines share.
fn tell<T: std::fmt::Debug>(outcome: Result<T, StorageError>) -> String {
    match outcome {
        Ok(answer) => format!("{answer:?}"),
        // SQLite does not name the key.
        Err(StorageError::ForeignKey { .. }) => "foreign key".to_owned(),
        Err(StorageError::Other(error)) => panic!("{error}"),
        Err(error) => format!("{error}"),
    }
}

impl World<'_> {
    /// Each step is a transaction of its own; a refused one leaves nothing.
    async fn answer(&self, step: &Step) -> String {
        let transaction = self.db.begin().await.unwrap();
        let told = self.take(&transaction, step).await;
        match told {
            Ok(told) => {
                transaction.commit().await.unwrap();
                told
            }
            Err(error) => {
                transaction.rollback().await.unwrap();
                tell::<()>(Err(error))
            }
        }
    }

    async fn task(
        &self,
        db: &impl alkhub_storage::ConnectionTrait,
        slug: usize,
    ) -> Result<TaskId, StorageError> {
        tasks::task_by_slug(db, &Scope::All, &self.project, SLUGS[slug])
            .await?
            .map(|task| task.id)
            .ok_or(StorageError::NotFound)
    }

    async fn take(
        &self,
        db: &impl alkhub_storage::ConnectionTrait,
        step: &Step,
    ) -> Result<String, StorageError> {
        match step {
            Step::CreateTask {
                slug,
                priority,
                under,
            } => {
                let new = NewTask {
                    project_id: self.project.clone(),
                    slug: SLUGS[*slug].to_owned(),
                    name: format!("Task {}", SLUGS[*slug]),
                    path: Some(format!("dir{under}/{}", SLUGS[*slug])),
                    priority: TaskPriority::ALL.get(*priority).copied(),
                    ..NewTask::default()
                };
                let task = tasks::create_task(db, new).await?;
                Ok(format!("{} {:?} {}", task.slug, task.priority, task.status))
            }
            Step::RenameTask { slug, to } => {
                let id = self.task(db, *slug).await?;
                let changes = TaskChanges {
                    slug: Some(SLUGS[*to].to_owned()),
                    ..TaskChanges::default()
                };
                Ok(tasks::update_task(db, &id, changes).await?.slug)
            }
            Step::MoveTask {
                slug,
                status,
                reopen,
            } => {
                let id = self.task(db, *slug).await?;
                let change = StatusChange {
                    to: STATUSES[*status],
                    reopen: *reopen,
                };
                let (task, mapping) = tasks::update_task_status(db, &id, change).await?;
                Ok(format!(
                    "{} {} {} {mapping:?}",
                    task.status,
                    task.started_at.is_some(),
                    task.completed_at.is_some()
                ))
            }
            Step::DeleteTask { slug } => {
                let id = self.task(db, *slug).await?;
                Ok(tasks::delete_task(db, &id).await?.to_string())
            }
            Step::Note { slug } => {
                let id = self.task(db, *slug).await?;
                Ok(format!(
                    "{:?}",
                    tasks::append_task_note(db, &id, "ünï").await?.body
                ))
            }
            Step::Depend { from, to } => {
                let (from, to) = (self.task(db, *from).await?, self.task(db, *to).await?);
                let edge = tasks::add_dependency(db, NewDependency::new(from, to)).await?;
                Ok(format!("{:?}", edge.quality_retention))
            }
            Step::Independ { from, to } => {
                let (from, to) = (self.task(db, *from).await?, self.task(db, *to).await?);
                Ok(tasks::remove_dependency(db, &from, &to).await?.to_string())
            }
            Step::Ready { limit } => {
                let ready = tasks::ready_tasks(db, &self.project, true, Some(*limit)).await?;
                Ok(ready
                    .into_iter()
                    .map(|task| task.slug)
                    .collect::<Vec<_>>()
                    .join(" "))
            }
            Step::ListTasks {
                status,
                under,
                search,
            } => {
                let filter = TaskFilter {
                    project: Some(self.project.clone()),
                    status: STATUSES.get(*status).copied().into_iter().collect(),
                    path_prefix: (*under < 3).then(|| format!("dir{under}/")),
                    search: [Some("TASK"), Some("%"), Some("_"), None][*search].map(str::to_owned),
                    ..TaskFilter::default()
                };
                let page =
                    tasks::list_tasks(db, &Scope::All, &filter, &PageRequest::default()).await?;
                let mut slugs: Vec<String> = page.items.into_iter().map(|task| task.slug).collect();
                slugs.sort();
                Ok(slugs.join(" "))
            }
            Step::Sync { files, prune } => {
                let files = files
                    .iter()
                    .map(|(slug, depends_on)| TaskFile {
                        slug: SLUGS[*slug].to_owned(),
                        name: format!("File {}", SLUGS[*slug]),
                        path: Some(format!("dir0/{}", SLUGS[*slug])),
                        depends_on: depends_on
                            .iter()
                            .filter(|other| *other != slug)
                            .map(|other| SLUGS[*other].to_owned())
                            .collect(),
                        ..TaskFile::default()
                    })
                    .collect();
                let options = SyncOptions { prune: *prune };
                let report = tasks::sync_tasks(db, &self.project, files, options).await?;
                let edges = tasks::project_edges(db, &self.project).await?;
                Ok(format!("{report:?} {}", edges.len()))
            }
            Step::Member { account, level } => {
                let (id, level) = (&self.accounts[*account], MembershipLevel::ALL[*level]);
                let row = match identity::membership(db, &self.organization, id).await? {
                    None => identity::add_member(db, &self.organization, id, level).await?,
                    Some(_) => {
                        identity::set_member_level(db, &self.organization, id, level).await?
                    }
                };
                Ok(row.membership_level.to_string())
            }
            Step::Leave { account } => {
                let id = &self.accounts[*account];
                Ok(identity::remove_member(db, &self.organization, id)
                    .await?
                    .to_string())
            }
            Step::Transfer { account } => {
                let to = &self.accounts[*account];
                let keep = MembershipLevel::Admin;
                let after = identity::transfer_ownership(db, &self.organization, to, keep).await?;
                Ok(format!("{}", after.owner_id == *to))
            }
            Step::SearchAccounts { text } => {
                let filter = AccountFilter {
                    search: Some(["BOB", "bob_", "bob%", ""][*text].to_owned()),
                    ..AccountFilter::default()
                };
                let page =
                    identity::search_accounts(db, &Scope::All, &filter, &PageRequest::default())
                        .await?;
                Ok(page.items.len().to_string())
            }
            Step::PutIf { expected, value } => {
                let expected = expected.map(|number| json!({ "n": number }));
                let value = json!({ "n": value });
                let done = meta::put_if(db, "k", expected.as_ref(), &value).await?;
                Ok(format!("{done} {:?}", meta::get(db, "k").await?))
            }
            Step::InsertCalls { requests } => {
                let calls: Vec<NewCall> = requests
                    .iter()
                    .map(|(request, parent)| NewCall {
                        id: CallGraphNodeId::random(),
                        parent_request_id: parent
                            .filter(|parent| parent != request)
                            .map(|parent| format!("q{parent}")),
                        ..crate::calls::new(&self.operation, &format!("q{request}"), None)
                    })
                    .collect();
                Ok(format!("{:?}", calls::insert_calls(db, &calls).await?))
            }
            Step::RunCalls { requests } => {
                let running: Vec<Running> = requests
                    .iter()
                    .map(|request| Running {
                        request_id: format!("q{request}"),
                        started_at: time::now(),
                    })
                    .collect();
                Ok(format!("{:?}", calls::mark_running(db, &running).await?))
            }
            Step::EndCalls { requests, failed } => {
                let ends: Vec<CallEnd> = requests
                    .iter()
                    .map(|request| CallEnd {
                        request_id: format!("q{request}"),
                        status: if *failed {
                            CallStatus::Failed
                        } else {
                            CallStatus::Completed
                        },
                        output: (!failed).then(|| json!([request, "ü", null])),
                        error: failed.then(|| json!({ "code": "X", "message": "m" })),
                        completed_at: time::now(),
                        metadata: json!({ "late": request }).as_object().unwrap().clone(),
                    })
                    .collect();
                let ended = calls::finish_calls(db, &ends).await?;
                let first = calls::recorded_call(db, &ends[0].request_id).await?;
                let first = first.map(|call| (call.status, call.output, call.metadata));
                Ok(format!("{ended:?} {first:?}"))
            }
            Step::Tree { request } => {
                let tree =
                    calls::call_tree(db, &Scope::All, &format!("q{request}"), 10, 100).await?;
                let mut nodes: Vec<(u32, String)> = tree
                    .nodes
                    .into_iter()
                    .map(|node| (node.depth, node.node.request_id))
                    .collect();
                nodes.sort();
                Ok(format!("{nodes:?} {}", tree.edges.len()))
            }
        }
    }
}
