//! `alkhub mcp`.

use clap::Args;

use crate::args::Global;
use crate::bridge;
use crate::failure::Failure;
use crate::output::Output;

/// Serve the Model Context Protocol on standard input and output
///
/// For programs that start their MCP servers themselves: each message on standard input goes to the
/// running hub, each answer comes out on standard output, and nothing else does. Programs that speak
/// HTTP can use the hub's address with /mcp behind it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  alkhub mcp --tools 'task.ready,task.get'")]
pub(crate) struct Mcp {
    /// Operations to show as tools of their own, names or patterns [default: the setting mcp.tools]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    tools: Option<Vec<String>>,
}

impl Mcp {
    pub(crate) fn run(&self, global: &Global, output: &Output) -> Result<(), Failure> {
        let tools = self.tools.as_ref().map(|tools| tools.join(","));
        super::wait(bridge::run(global, tools, *output))?
    }
}
