//! Reading a mail with a language model, over any endpoint that speaks OpenAI's chat completions.
//!
//! The crate's own client would retry three times and sleep for whatever `Retry-After` says, inside the worker.
//! Here it runs on a transport of ours without retries: every wait becomes a snooze of the job.

mod answer;
mod error;
mod gate;
mod request;
mod transport;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestMessage, ChatCompletionRequestMessageContentPartImage,
    ChatCompletionRequestMessageContentPartText, ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    ChatCompletionRequestUserMessageContent, ChatCompletionRequestUserMessageContentPart, CreateChatCompletionRequest,
    FinishReason, ImageUrl, ResponseFormat, ResponseFormatJsonSchema,
};
use base64::Engine as _;
use postrider_shared::clock::Clock;
use secrecy::{ExposeSecret, SecretString};

pub use self::answer::{Answer, AnsweredDimension, AnsweredItem, DroppedLine, Intent};
pub use self::error::LlmError;
use self::gate::Gate;
pub use self::request::{
    Earlier, KnownAttachment, KnownDimension, KnownMaterial, KnownProduct, MailText, OfferedDimension, OfferedLine,
    OfferedQuote, Question, ShownPicture,
};
use self::transport::{HttpFailure, Transport};
use super::transport::Trust;

/// What the model is told. The mail is data in the user's message and never part of this text.
const INSTRUCTIONS: &str = include_str!("llm/instructions.md");
/// Room for about 60 line items; a cut answer is noticed, never used.
const MAX_ANSWER_TOKENS: u32 = 8_192;

/// Where the model is and how much of it may be used.
#[derive(Debug, Clone)]
pub struct LlmSettings {
    pub base_url: String,
    pub api_key: SecretString,
    pub model: String,
    /// For one whole request.
    pub timeout: Duration,
    /// Over all jobs of this process.
    pub requests_per_minute: NonZeroU32,
    pub trust: Trust,
}

/// The model, shared by all jobs of the process.
#[derive(Debug)]
pub struct Llm {
    client: Client<OpenAIConfig>,
    model: String,
    gate: Gate,
    /// A question was answered since one was last forbidden (403).
    answers: AtomicBool,
    clock: Clock,
}

impl Llm {
    /// Fails only if the HTTP client cannot be built.
    pub fn new(settings: LlmSettings, clock: Clock) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured((*settings.trust.client_config()).clone())
            .connect_timeout(Duration::from_secs(10))
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let config = OpenAIConfig::new()
            .with_api_base(settings.base_url.trim_end_matches('/'))
            .with_api_key(settings.api_key.expose_secret());
        Ok(Self {
            client: Client::with_config(config)
                .with_http_client(http.clone())
                .with_http_service(Transport::new(http, clock.clone())),
            model: settings.model,
            gate: Gate::new(settings.requests_per_minute),
            answers: AtomicBool::new(false),
            clock,
        })
    }

    /// Asks the model about one mail. The answer has the agreed shape and nothing more is promised of it: whether
    /// it fits the mail and the products is for the caller to check.
    pub async fn ask(&self, question: &Question<'_>) -> Result<Answer, LlmError> {
        self.gate.pass().map_err(|wait| LlmError::Busy { until: self.clock.now() + wait })?;
        let answer = match self.complete(question).await {
            // Another one was let through with the same key: it is this mail that is not.
            Err(LlmError::Misconfigured { status: status @ 403, detail, .. })
                if self.answers.swap(false, Ordering::Relaxed) =>
            {
                Err(LlmError::Rejected { status, detail })
            }
            answer => answer,
        };
        if answer.is_ok() {
            self.answers.store(true, Ordering::Relaxed);
        }
        if let Err(error) = &answer
            && let Some(until) = error.closes_until()
        {
            self.gate.close((until - self.clock.now()).to_std().unwrap_or_default());
        }
        answer
    }

    async fn complete(&self, question: &Question<'_>) -> Result<Answer, LlmError> {
        let request = self.request(question).map_err(|error| LlmError::Request { detail: error.to_string() })?;
        let response = self.client.chat().create(request).await;
        let response = response.map_err(|error| LlmError::of(error, self.clock.now()))?;
        let choice = response.choices.into_iter().next();
        let choice = choice.ok_or_else(|| LlmError::Malformed { detail: "no choice".into() })?;
        if let Some(reason) = choice.message.refusal {
            return Err(LlmError::Refused { reason: error::short(&reason) });
        }
        match choice.finish_reason {
            Some(FinishReason::Length) => Err(LlmError::Cut),
            Some(FinishReason::ContentFilter) => Err(LlmError::Refused { reason: "the content filter".into() }),
            Some(FinishReason::Stop | FinishReason::ToolCalls | FinishReason::FunctionCall) | None => {
                Answer::parse(choice.message.content.as_deref().unwrap_or_default())
            }
        }
    }

    fn request(&self, question: &Question<'_>) -> Result<CreateChatCompletionRequest, serde_json::Error> {
        let system = ChatCompletionRequestSystemMessage::from(INSTRUCTIONS);
        let user = user_message(question)?;
        Ok(CreateChatCompletionRequest {
            model: self.model.clone(),
            messages: vec![ChatCompletionRequestMessage::System(system), ChatCompletionRequestMessage::User(user)],
            max_completion_tokens: Some(MAX_ANSWER_TOKENS),
            response_format: Some(ResponseFormat::JsonSchema {
                json_schema: ResponseFormatJsonSchema {
                    name: "quote_request".into(),
                    description: None,
                    schema: answer::schema(),
                    strict: Some(true),
                },
            }),
            ..CreateChatCompletionRequest::default()
        })
    }
}

/// The question, and after it the pictures.
fn user_message(question: &Question<'_>) -> Result<ChatCompletionRequestUserMessage, serde_json::Error> {
    let text = serde_json::to_string(question)?;
    if question.pictures.is_empty() {
        return Ok(text.into());
    }
    let mut parts: Vec<ChatCompletionRequestUserMessageContentPart> =
        vec![ChatCompletionRequestMessageContentPartText::from(text).into()];
    for picture in &question.pictures {
        let coded = base64::engine::general_purpose::STANDARD.encode(picture.content);
        let url = format!("data:{};base64,{coded}", picture.media_type);
        parts.push(ChatCompletionRequestMessageContentPartImage::from(ImageUrl { url, detail: None }).into());
    }
    Ok(ChatCompletionRequestUserMessageContent::Array(parts).into())
}
