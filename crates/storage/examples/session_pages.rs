//! Times the first page of a project's sessions in a SQLite database of its own.
//!
//! `session_pages FILE SESSIONS` fills FILE with so many sessions when it is new, and prints how long
//! each of 200 pages of 50 took, in milliseconds, as a JSON list.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use alkhub_storage::identity::{self, NewAccount};
use alkhub_storage::projects::{self, NewProject};
use alkhub_storage::sessions::{self, SessionFilter};
use alkhub_storage::{ConnectionTrait, Database, DatabaseOptions, PageRequest, Scope};

/// Pages read to warm up, and pages timed.
const PAGES: (usize, usize) = (20, 200);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(count)) = (arguments.next(), arguments.next()) else {
        return Err("give a file and a number of sessions".into());
    };
    let database = Database::connect(&DatabaseOptions::sqlite_file(Path::new(&file))).await?;
    if !database.pending_migrations().await?.is_empty() {
        database.migrate().await?;
        fill(&database, count.parse()?).await?;
    }
    let page = PageRequest::first(50);
    let everything = PageRequest::first(1);
    let known = projects::list_projects(
        database.reader(),
        &Scope::All,
        &projects::ProjectFilter::default(),
        &everything,
    )
    .await?;
    let project = known
        .items
        .into_iter()
        .next()
        .ok_or("the file holds no project")?;
    let account = project
        .metadata
        .text("ownerId")
        .ok_or("a project without owner")?;
    // As a plain user asks, so that the scope is part of what is timed.
    let scope = Scope::account(account.into());
    let filter = SessionFilter {
        project_id: Some(project.id.clone()),
        ..SessionFilter::default()
    };
    let mut times = Vec::with_capacity(PAGES.1);
    for number in 0..PAGES.0 + PAGES.1 {
        let started = Instant::now();
        let found = sessions::list_sessions(database.reader(), &scope, &filter, &page).await?;
        let elapsed = started.elapsed();
        if found.items.len() != 50 {
            return Err("the page is not full".into());
        }
        if number >= PAGES.0 {
            times.push(elapsed.as_secs_f64() * 1_000.0);
        }
    }
    print(&times);
    database.close().await?;
    Ok(())
}

async fn fill(database: &Database, count: u64) -> Result<(), Box<dyn Error>> {
    let transaction = database.begin().await?;
    let account = NewAccount {
        email: "a@localhost".to_owned(),
        ..NewAccount::default()
    };
    let account = identity::create_account(&transaction, account).await?;
    let project = NewProject {
        org_id: None,
        name: "bench".to_owned(),
        directory: None,
        repo_url: None,
        vcs: None,
        icon_url: None,
        icon_color: None,
        metadata: alkhub_storage::json::Metadata::new().with("ownerId", account.id.to_string()),
    };
    let project = projects::create_project(&transaction, project).await?;
    // How the rows came there is not what is timed; each is a second older than the next.
    let rows = format!(
        "with recursive numbers(number) as \
             (select 1 union all select number + 1 from numbers where number < {count}) \
         insert into sessions (id, account_id, project_id, slug, title, status, created_at, updated_at) \
         select 's-' || number, '{account}', '{project}', 'session-' || number, 'Session ' || number, \
             case when number % 50 = 0 then 'idle' else 'archived' end, moment, moment \
         from (select number, strftime('%Y-%m-%dT%H:%M:%S+00:00', 1700000000 + number, 'unixepoch') \
             as moment from numbers)",
        account = account.id,
        project = project.id,
    );
    transaction.execute_unprepared(&rows).await?;
    transaction.commit().await?;
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what this program is for"
)]
fn print(times: &[f64]) {
    println!("{times:?}");
}
