//! What `--list-encoders` prints: every encoder that is known, and what became of it here.

use std::fmt;

use serde::Serialize;

/// All encoders, the better before the worse of each codec.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EncoderList {
    /// One for each.
    pub encoders: Vec<Row>,
}

/// An encoder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What it encodes to.
    pub codec: String,
    /// The GStreamer element.
    pub encoder: &'static str,
    /// `hardware` or `software`.
    pub engine: &'static str,
    /// Whether it would be used for its codec.
    pub used: bool,
    /// What became of it.
    #[serde(flatten)]
    pub state: State,
}

/// What became of an encoder.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// It is not installed.
    Missing,
    /// It has proven that it works.
    Proven {
        /// How many milliseconds it took for a frame.
        ms_per_frame: f64,
    },
    /// It was tried, and does not work.
    Rejected {
        /// Why.
        reason: String,
    },
}

impl EncoderList {
    /// Marks the first of each codec that works.
    pub fn mark_used(&mut self) {
        let mut served: Vec<String> = Vec::new();
        for row in &mut self.encoders {
            let works = matches!(row.state, State::Proven { .. });
            row.used = works && !served.contains(&row.codec);
            if row.used {
                served.push(row.codec.clone());
            }
        }
    }
}

/// As a table.
impl fmt::Display for EncoderList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:6} {:14} {:9} STATE", "CODEC", "ENCODER", "BY")?;
        for row in &self.encoders {
            let Row {
                codec,
                encoder,
                engine,
                used,
                state,
            } = row;
            let mark = if *used { '*' } else { ' ' };
            write!(f, "\n{mark} {codec:6} {encoder:14} {engine:9} {state}")?;
        }
        write!(
            f,
            "\n* is used for its codec, unless --encoder names another."
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("not installed"),
            Self::Proven { ms_per_frame } => write!(f, "proven, {ms_per_frame:.1} ms a frame"),
            Self::Rejected { reason } => write!(f, "rejected: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> EncoderList {
        let row = |codec: &str, encoder, engine, state| Row {
            codec: codec.into(),
            encoder,
            engine,
            used: false,
            state,
        };
        let reason = "it holds back 10 frames".to_owned();
        let proven = |ms_per_frame| State::Proven { ms_per_frame };
        let mut list = EncoderList {
            encoders: vec![
                row("H.264", "vah264enc", "hardware", State::Rejected { reason }),
                row("H.264", "nvh264enc", "hardware", State::Missing),
                row("H.264", "x264enc", "software", proven(1.25)),
                row("H.264", "openh264enc", "software", proven(2.0)),
                row("VP8", "vp8enc", "software", proven(4.0)),
            ],
        };
        list.mark_used();
        list
    }

    #[test]
    fn the_table_says_what_is_used_and_why_others_are_not() {
        let lines = [
            "  CODEC  ENCODER        BY        STATE",
            "  H.264  vah264enc      hardware  rejected: it holds back 10 frames",
            "  H.264  nvh264enc      hardware  not installed",
            "* H.264  x264enc        software  proven, 1.2 ms a frame",
            "  H.264  openh264enc    software  proven, 2.0 ms a frame",
            "* VP8    vp8enc         software  proven, 4.0 ms a frame",
            "* is used for its codec, unless --encoder names another.",
        ];
        assert_eq!(list().to_string(), lines.join("\n"));
    }

    #[test]
    fn the_same_is_an_object_for_programs() -> Result<(), serde_json::Error> {
        let json = serde_json::to_value(list())?;
        let expected = serde_json::json!({
            "codec": "H.264", "encoder": "vah264enc", "engine": "hardware", "used": false,
            "state": "rejected", "reason": "it holds back 10 frames",
        });
        assert_eq!(json["encoders"][0], expected);
        assert_eq!(json["encoders"][2]["ms_per_frame"], 1.25);
        assert_eq!(json["encoders"][2]["used"], true);
        Ok(())
    }
}
