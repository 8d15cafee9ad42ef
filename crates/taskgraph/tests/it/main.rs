//! Tests of the task graph, one module a topic.

mod frontmatter;
mod vectors;
