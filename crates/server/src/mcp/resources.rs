//! What can be read: tasks and projects as Markdown.

use rmcp::model::{
    ErrorData, ListResourceTemplatesResult, ListResourcesResult, Resource, ResourceContents,
    ResourceTemplate,
};
use serde_json::{Value, json};

use super::calls::{Asked, Ended};
use super::{Caller, answer};

const MARKDOWN: &str = "text/markdown";
const TASK: &str = "alkhub://task/";
const PROJECT: &str = "alkhub://project/";
/// Projects of one page.
const PAGE: usize = 100;

/// The addresses that can be read.
pub(super) fn templates() -> ListResourceTemplatesResult {
    let template = |prefix: &str, name: &str, description: &str| {
        ResourceTemplate::new(format!("{prefix}{{id}}"), name)
            .with_description(description)
            .with_mime_type(MARKDOWN)
    };
    ListResourceTemplatesResult::with_all_items(vec![
        template(
            TASK,
            "task",
            "A task with its text and what it depends on, by id",
        ),
        template(PROJECT, "project", "A project, by id"),
    ])
}

impl Caller {
    /// The visible projects; tasks are too many to be listed and are found by calls.
    pub(super) async fn resources(
        &self,
        cursor: Option<String>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let visible = self.hub.visible_operations(&self.principal);
        if !visible
            .iter()
            .any(|entry| entry.id().as_str() == "project.list")
        {
            return Ok(ListResourcesResult::with_all_items(Vec::new()));
        }
        let mut input = json!({ "limit": PAGE });
        if let Some(cursor) = cursor {
            input["cursor"] = json!(cursor);
        }
        let page = self.look_up("project.list", input, "").await?;
        let projects = page["items"].as_array().into_iter().flatten();
        let resources = projects
            .map(|project| {
                let uri = format!("{PROJECT}{}", text(&project["id"]));
                Resource::new(uri, text(&project["name"])).with_mime_type(MARKDOWN)
            })
            .collect();
        let mut result = ListResourcesResult::with_all_items(resources);
        result.next_cursor = page["nextCursor"].as_str().map(str::to_owned);
        Ok(result)
    }

    /// The Markdown at an address.
    pub(super) async fn resource(&self, uri: &str) -> Result<ResourceContents, ErrorData> {
        let page = if let Some(id) = uri.strip_prefix(TASK) {
            let include = ["body", "dependencies", "dependents"];
            let input = json!({ "id": id, "include": include });
            task_page(&self.look_up("task.get", input, uri).await?)
        } else if let Some(id) = uri.strip_prefix(PROJECT) {
            let input = json!({ "id": id });
            project_page(&self.look_up("project.get", input, uri).await?)
        } else {
            return Err(not_there(uri));
        };
        Ok(ResourceContents::text(page, uri).with_mime_type(MARKDOWN))
    }

    async fn look_up(&self, operation: &str, input: Value, uri: &str) -> Result<Value, ErrorData> {
        let asked = Asked::plain(operation, input, self.bounds(None, None));
        match self.run(asked).await {
            Ended::Answer(answer) => Ok(answer.envelope.data),
            Ended::Failed(failed)
                if matches!(failed.error.http_status(), 400 | 404) && !uri.is_empty() =>
            {
                Err(not_there(uri))
            }
            Ended::Failed(failed) => Err(ErrorData::internal_error(
                answer::line_of(&failed.error),
                Some(answer::failure(&failed.error, &failed.request_id)),
            )),
            Ended::Items(_) => Err(not_there(uri)),
        }
    }
}

fn not_there(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("there is nothing to read here", Some(json!({ "uri": uri })))
}

fn task_page(task: &Value) -> String {
    let mut page = Page::titled(&task["name"]);
    for (name, field) in [
        ("Status", "status"),
        ("Slug", "slug"),
        ("Project", "projectId"),
        ("Assignee", "assignee"),
        ("Priority", "priority"),
        ("Scope", "scope"),
        ("Risk", "risk"),
        ("Impact", "impact"),
        ("Level", "level"),
        ("Tags", "tags"),
        ("Due", "dueAt"),
        ("Started", "startedAt"),
        ("Completed", "completedAt"),
        ("Changed", "updatedAt"),
    ] {
        page.fact(name, &task[field]);
    }
    page.neighbours("Depends on", &task["dependencies"]);
    page.neighbours("Needed by", &task["dependents"]);
    if let Some(body) = task["body"].as_str() {
        page.0.push('\n');
        page.0.push_str(body.trim_end());
        page.0.push('\n');
    }
    page.0
}

fn project_page(project: &Value) -> String {
    let mut page = Page::titled(&project["name"]);
    for (name, field) in [
        ("Id", "id"),
        ("Organization", "orgId"),
        ("Directory", "directory"),
        ("Repository", "repoUrl"),
        ("Changed", "updatedAt"),
    ] {
        page.fact(name, &project[field]);
    }
    page.fact("Archived", &project["metadata"]["archivedAt"]);
    for (name, field) in [
        ("Tasks", "tasks"),
        ("Sessions", "sessions"),
        ("Workspaces", "workspaces"),
        ("Spokes", "spokes"),
    ] {
        page.fact(name, &project["counts"][field]);
    }
    page.0
}

/// A page of Markdown under way.
struct Page(String);

impl Page {
    fn titled(name: &Value) -> Self {
        Self(format!("# {}\n\n", text(name)))
    }

    /// A line of the list at the top; nothing for what is not set.
    fn fact(&mut self, name: &str, value: &Value) {
        let shown = text(value);
        if !shown.is_empty() {
            self.0.push_str(&format!("- {name}: {shown}\n"));
        }
    }

    fn neighbours(&mut self, heading: &str, tasks: &Value) {
        let Some(tasks) = tasks.as_array().filter(|tasks| !tasks.is_empty()) else {
            return;
        };
        self.0.push_str(&format!("\n## {heading}\n\n"));
        for task in tasks {
            self.0.push_str(&format!(
                "- [{}]({TASK}{}) ({}, {})\n",
                text(&task["name"]),
                text(&task["id"]),
                text(&task["slug"]),
                text(&task["status"]),
            ));
        }
    }
}

/// A value as a person reads it, on one line.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(['\n', '\r'], " "),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_a_page_with_facts_neighbours_and_text() {
        let page = task_page(&json!({
            "name": "Write the\nparser",
            "status": "pending",
            "slug": "parser",
            "assignee": null,
            "tags": ["a", "b"],
            "dependencies": [
                { "id": "1", "slug": "lexer", "name": "Lexer", "status": "completed" }
            ],
            "dependents": [],
            "body": "All of it.\n"
        }));
        assert_eq!(
            page,
            "# Write the parser\n\n- Status: pending\n- Slug: parser\n- Tags: a, b\n\n\
             ## Depends on\n\n- [Lexer](alkhub://task/1) (lexer, completed)\n\nAll of it.\n"
        );
    }

    #[test]
    fn a_project_shows_its_numbers() {
        let page = project_page(&json!({
            "id": "p", "name": "Demo", "orgId": null, "metadata": {},
            "counts": { "tasks": 3, "sessions": 0 }
        }));
        assert_eq!(page, "# Demo\n\n- Id: p\n- Tasks: 3\n- Sessions: 0\n");
    }
}
