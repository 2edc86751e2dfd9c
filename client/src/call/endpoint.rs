//! One end of calls, as other programs embed it.

use std::ops::ControlFlow;

use super::data::Data;
use super::preparation::{build_capture, has_echo, prepare};
use super::{Client, Ways};
use crate::capture::{Capture, Timeline};
use crate::config::Config;
use crate::failure::Failure;
use crate::inbox::Inbox;
use crate::observation::Observation;
use crate::report::Report;

/// One end of calls: it stays registered at its relay, calls or is called, sends what it captures and
/// takes what comes in.
///
/// ```no_run
/// use std::ops::ControlFlow;
///
/// use client::call::Endpoint;
/// use client::config::Config;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// client::init()?;
/// let config = Config::new("ws://127.0.0.1:8443".parse()?, "cam".parse()?);
/// let endpoint = Endpoint::new(config)?;
/// async_std::task::block_on(endpoint.run(|report| {
///     println!("{report}");
///     ControlFlow::Continue(())
/// }))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    timeline: Timeline,
    capture: Capture,
    ways: Ways<u64>,
    inbox: Inbox<u64>,
}

/// What steers a running [`Endpoint`] from anywhere. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    ways: Ways<u64>,
}

impl Endpoint {
    /// An end that does nothing yet. [`init`](crate::init) has to come first.
    ///
    /// # Errors
    /// When GStreamer lacks an element, or one does not take what is asked of it.
    pub fn new(mut config: Config) -> Result<Self, Failure> {
        config.media.voice.echo_cancellation = has_echo(&config);
        let timeline = Timeline::default();
        super::recording::narrow(&mut config);
        let capture = build_capture(&mut config.media, &timeline)?;
        let (ways, inbox) = Ways::new();
        Ok(Self {
            config,
            timeline,
            capture,
            ways,
            inbox,
        })
    }

    /// How it can be looked into.
    pub(super) fn observation(&self) -> &Observation {
        &self.config.observation
    }

    /// The timeline of all its pipelines.
    pub(super) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// What steers it once it runs.
    pub fn handle(&self) -> Handle {
        Handle {
            ways: self.ways.clone(),
        }
    }

    /// What it captures and encodes: to switch sources, and to push frames of one's own.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// Runs until the call is over or, waiting for calls, until it is stopped. `audience` hears
    /// everything there is to tell, on the task that runs this: it must not block. When it breaks,
    /// the call ends.
    ///
    /// Sources are tried before anything else, so that what cannot work is known at once.
    ///
    /// # Errors
    /// Why it cannot begin, or cannot go on.
    pub async fn run(
        self,
        audience: impl FnMut(&Report) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(), Failure> {
        let Self {
            config,
            timeline,
            capture,
            ways,
            mut inbox,
        } = self;
        let (media, connection) = (&config.media, &config.connection);
        super::recording::rehearse(&config)?;
        let (show, receiving) = (config.show, &config.receiving);
        let data = Data::new(&config)?;
        let mut settings = prepare(&capture, timeline, media, connection, show, receiving).await?;
        settings.data = config.data.is_wanted();
        settings.adapts = true;
        let mut client = Client::new(config, capture, settings, ways, Box::new(audience), data);
        let outcome = client.serve(&mut inbox).await;
        // Nothing more is heard, so that nothing waits to be.
        drop(inbox);
        client.leave().await;
        outcome
    }
}

impl Handle {
    /// Ends a running call in order, and the endpoint with it. False once it has ended.
    pub fn stop(&self) -> bool {
        self.ways.stop()
    }

    /// Does what a line says, as if it were typed (`video 2`, `list`: see
    /// [`HELP`](crate::command::HELP)); what comes of it is reported. Blocks until the endpoint takes
    /// it; false once it has ended.
    pub fn command(&self, line: String) -> bool {
        self.ways.typed(line)
    }
}
