//! A spoke that greets. Start a hub, put a key with the scope `spoke:register` into a file that only
//! you can read, and run
//!
//! ```text
//! ALKHUB_KEY_FILE=KEY_FILE cargo run --example hello -- ws://127.0.0.1:4848/ws
//! ```
//!
//! Then anybody with the scope `spoke:call` can call `hello.greet`.

use std::error::Error;

use alkhub_spoke::{OperationType, Spoke, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Greet {
    /// Who is to be greeted.
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1);
    let url = url.unwrap_or_else(|| "ws://127.0.0.1:4848/ws".to_owned());
    let key = std::fs::read_to_string(std::env::var("ALKHUB_KEY_FILE")?)?;

    let greet = operation::<Greet, Greeting>("hello.greet", OperationType::Query)
        .description("Greets somebody by name.")
        .scopes(&["spoke:call"])
        .handler(|_ctx, input: Greet| async move {
            let text = format!("Hello, {}!", input.name);
            Ok(Greeting { text })
        });

    let spoke = Spoke::builder(url, key.trim())
        .name("greeter")
        .operation(greet)
        .connect()
        .await?;
    spoke.run().await?;
    Ok(())
}
