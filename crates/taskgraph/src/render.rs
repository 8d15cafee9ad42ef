//! Drawing a graph: SVG for people, DOT and Mermaid for other tools, JSON for programs.
//!
//! All four work on every graph, also on one with cycles or with missing tasks, and give the same
//! text for the same graph on every machine. Texts of tasks are escaped; nothing in a name or an
//! id can become markup.
//!
//! ```
//! use alkhub_taskgraph::{TaskGraph, TaskInput, render};
//!
//! let graph = TaskGraph::from_tasks(&[
//!     TaskInput::new("build", "Build it"),
//!     TaskInput::new("ship", "Ship it").depending_on(["build"]),
//! ])?;
//! let options = render::Options::default();
//! assert!(render::svg(&graph, &options)?.starts_with("<svg "));
//! assert_eq!(
//!     render::mermaid(&graph, &options)?,
//!     "graph LR\n  n0[\"build\"]\n  n1[\"ship\"]\n  n0 --> n1\n"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dot;
mod layered;
mod mermaid;
mod scene;
mod svg;
mod text;

use crate::TaskGraph;
use scene::Scene;

/// How a graph is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Heading of the SVG; none unless told.
    pub title: Option<String>,
    /// Most tasks that are drawn as SVG, DOT or Mermaid; 20,000 unless told.
    pub max_tasks: usize,
    /// Most dependencies that are drawn as SVG, DOT or Mermaid; 200,000 unless told.
    pub max_edges: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            title: None,
            max_tasks: 20_000,
            max_edges: 200_000,
        }
    }
}

impl Options {
    /// No limits: for callers that drew the line themselves.
    #[must_use]
    pub fn unlimited(self) -> Self {
        Self {
            max_tasks: usize::MAX,
            max_edges: usize::MAX,
            ..self
        }
    }
}

/// Why there is no drawing.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The graph has more tasks or dependencies than the options allow.
    #[error("the graph has {tasks} tasks and {edges} dependencies, too many to draw")]
    TooLarge {
        /// Tasks of the graph.
        tasks: usize,
        /// Dependencies of the graph.
        edges: usize,
    },
    /// The graph cannot be written as JSON.
    #[error("the graph cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}

/// The graph as a picture in layers from left to right, prerequisites left of their dependents.
///
/// Boxes have the colour of their status, a bar with the colour of their risk, a thick frame on
/// the critical path and a dotted one when the task is missing; hovering tells the rest. A
/// dependency that closes a cycle is dashed, and the cycles are named above the drawing. Colours
/// follow the reader's preference for light or dark. Time and size grow about linearly with the
/// graph.
///
/// # Errors
///
/// [`RenderError::TooLarge`].
pub fn svg(graph: &TaskGraph, options: &Options) -> Result<String, RenderError> {
    options.check(graph)?;
    Ok(svg::draw(&Scene::new(graph), options.title.as_deref()))
}

/// The graph for Graphviz: one statement a task and a dependency, then statements with the looks
/// of tasks. Critical path and cycle-closing dependencies stand in subgraphs of their own.
///
/// # Errors
///
/// [`RenderError::TooLarge`].
pub fn dot(graph: &TaskGraph, options: &Options) -> Result<String, RenderError> {
    options.check(graph)?;
    Ok(dot::write(&Scene::new(graph)))
}

/// The graph for Mermaid: `n0`, `n1`, … in node order, labelled with their ids, then the
/// dependencies in edge order.
///
/// # Errors
///
/// [`RenderError::TooLarge`].
pub fn mermaid(graph: &TaskGraph, options: &Options) -> Result<String, RenderError> {
    options.check(graph)?;
    Ok(mermaid::write(&Scene::new(graph)))
}

/// The graph as one line of graphology JSON, as [`TaskGraph::to_json`] has it. No limits apply.
///
/// # Errors
///
/// [`RenderError::Json`].
pub fn json(graph: &TaskGraph) -> Result<String, RenderError> {
    serde_json::to_string(graph).map_err(RenderError::Json)
}

impl Options {
    fn check(&self, graph: &TaskGraph) -> Result<(), RenderError> {
        let (tasks, edges) = (graph.task_count(), graph.edge_count());
        if tasks <= self.max_tasks && edges <= self.max_edges {
            return Ok(());
        }
        Err(RenderError::TooLarge { tasks, edges })
    }
}
