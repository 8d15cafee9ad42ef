//! A spoke that greets. Start a hub, make a key with the scope `spoke:register`, and run
//!
//! ```text
//! ALKHUB_KEY=alk_… cargo run --example hello -- ws://127.0.0.1:4848/ws
//! ```
//!
//! Then anybody with the scope `spoke:call` can call `hello.greet`.

use alkhub_spoke::{OperationType, Spoke, SpokeError, operation};
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
async fn main() -> Result<(), SpokeError> {
    let url = std::env::args().nth(1);
    let url = url.unwrap_or_else(|| "ws://127.0.0.1:4848/ws".to_owned());
    let key = std::env::var("ALKHUB_KEY").unwrap_or_default();

    let greet = operation::<Greet, Greeting>("hello.greet", OperationType::Query)
        .description("Greets somebody by name.")
        .scopes(&["spoke:call"])
        .handler(|_ctx, input: Greet| async move {
            let text = format!("Hello, {}!", input.name);
            Ok(Greeting { text })
        });

    let spoke = Spoke::builder(url, key)
        .name("greeter")
        .operation(greet)
        .connect()
        .await?;
    spoke.run().await
}
