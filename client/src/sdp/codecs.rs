//! The codecs of a media line: which are there, which is chosen, and which are answered.

use gst_sdp::{SDPMediaRef, SDPMessageRef};

use super::{TWCC, kind};
use crate::encoding::Opus;
use crate::media::{Codec, VideoCodec};

/// The last payload type ([RFC 3550, section 5.1](https://www.rfc-editor.org/rfc/rfc3550#section-5.1)).
const LAST_PAYLOAD_TYPE: u8 = 127;

/// The first payload type without a meaning of its own
/// ([RFC 3551, section 3](https://www.rfc-editor.org/rfc/rfc3551#section-3)).
const FIRST_DYNAMIC_TYPE: u8 = 96;

/// How many codecs of a peer are named to a person, and how long a name may be: it is the peer's text.
const MAX_NAMED: usize = 12;
const MAX_NAME_LEN: usize = 16;

/// What stands beside codecs in a media line and is none.
const NO_CODECS: [&str; 7] = [
    "rtx",
    "red",
    "ulpfec",
    "flexfec-03",
    "flexfec",
    "CN",
    "telephone-event",
];

/// The payload type under which we offer a codec.
pub fn our_payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Video(VideoCodec::Vp8) => 96,
        Codec::Video(VideoCodec::H264) => 98,
        Codec::Video(VideoCodec::Vp9) => 100,
        Codec::Video(VideoCodec::Av1) => 102,
        Codec::Opus => 111,
    }
}

/// The payload type of a codec in a media line, and its caps there with the extension for congestion
/// control; `None` when it is not offered.
pub fn offered(media: &SDPMediaRef, codec: Codec) -> Option<(u8, gst::Caps)> {
    let number = payload_types(media).find(|number| is_codec(media, *number, codec))?;
    let mut caps = media.caps_from_media(number.into())?;
    let twcc = media
        .attributes()
        .filter(|attribute| attribute.key() == "extmap")
        .filter_map(|attribute| attribute.value()?.split_once(' '))
        .find(|(_, name)| name.trim() == TWCC);
    let description = caps.make_mut().structure_mut(0)?;
    description.set_name("application/x-rtp");
    if let Some(id) = twcc.and_then(|(id, _)| id.split('/').next()?.parse::<u8>().ok()) {
        description.set(format!("extmap-{id}"), TWCC);
    }
    Some((number, caps))
}

/// Which of `ours` an answer chose, and its payload type there: the first in its line
/// ([RFC 3264, section 6.1](https://www.rfc-editor.org/rfc/rfc3264#section-6.1)).
pub fn chosen(answer: &SDPMediaRef, ours: &[Codec]) -> Option<(Codec, u8)> {
    payload_types(answer).find_map(|number| {
        let codec = Codec::of_encoding_name(encoding_name(answer, number))?;
        // webrtcbin repeats no profile in its answers. What has our number is what we offered.
        let is_ours = number == our_payload_type(codec) || is_codec(answer, number, codec);
        (ours.contains(&codec) && is_ours).then_some((codec, number))
    })
}

/// The codecs in a line, in words for a person; what is not ours to know is quoted.
pub fn named(media: &SDPMediaRef) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for number in payload_types(media) {
        let name = encoding_name(media, number);
        if name.is_empty()
            || NO_CODECS
                .iter()
                .any(|other| other.eq_ignore_ascii_case(name))
        {
            continue;
        }
        let known = Codec::of_encoding_name(name);
        let word = match known {
            Some(codec) if is_codec(media, number, codec) => codec.to_string(),
            Some(codec) => format!("{codec} of another profile"),
            None => {
                let short: String = name.chars().take(MAX_NAME_LEN).collect();
                format!("{short:?}")
            }
        };
        if names.len() < MAX_NAMED && !names.contains(&word) {
            names.push(word);
        }
    }
    names
}

/// Our offer with a payload type for retransmission
/// ([RFC 4588](https://www.rfc-editor.org/rfc/rfc4588)) beside each codec of pictures: webrtcbin 1.22
/// has one for the first codec of a line alone.
pub fn with_retransmission(offer: &SDPMessageRef) -> Result<String, gst::glib::BoolError> {
    let mut taken: Vec<u8> = offer.medias().flat_map(payload_types).collect();
    let mut lines: Vec<String> = Vec::new();
    let text = offer.as_text()?;
    let mut medias = offer.medias();
    let mut added = Vec::new();
    for line in text.lines() {
        if line.starts_with("m=") {
            lines.append(&mut added);
            let mut formats = String::new();
            for (codec, number) in medias.next().map(unprotected).unwrap_or_default() {
                let Some(free) = free_payload_type(&taken) else {
                    break;
                };
                taken.push(free);
                formats += &format!(" {free}");
                added.push(format!("a=rtpmap:{free} rtx/{}", codec.clock_rate()));
                added.push(format!("a=fmtp:{free} apt={number}"));
            }
            lines.push(format!("{line}{formats}"));
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.append(&mut added);
    Ok(lines.into_iter().map(|line| line + "\r\n").collect())
}

/// A description of ours that asks for sound as we send it ourselves
/// ([RFC 7587, section 6.1](https://www.rfc-editor.org/rfc/rfc7587#section-6.1)). It is said in the text
/// alone: webrtcbin takes these wishes for properties of the format, on which both sides must agree.
pub fn with_wishes(description: &str, opus: &Opus) -> String {
    let numbers: Vec<_> = description.lines().filter_map(opus_number).collect();
    let flag = |set| u8::from(set);
    let wishes = format!("useinbandfec={};usedtx={}", flag(opus.fec), flag(opus.dtx));
    let mut text = String::new();
    for line in description.lines() {
        let of_opus = line
            .strip_prefix("a=fmtp:")
            .and_then(|rest| rest.split_once(' '))
            .filter(|(number, _)| numbers.contains(number));
        if of_opus.is_none() {
            text += line;
            text += "\r\n";
        }
        if let Some(number) = opus_number(line) {
            let prefix = format!("a=fmtp:{number} ");
            let said = description
                .lines()
                .find_map(|line| line.strip_prefix(&prefix));
            let kept = said.unwrap_or_default().split(';').map(str::trim);
            let kept = kept.filter(|parameter| {
                let name = parameter.split('=').next().unwrap_or_default();
                !["", "useinbandfec", "usedtx"].contains(&name)
            });
            let all: Vec<_> = kept.chain([wishes.as_str()]).collect();
            text += &format!("{prefix}{}\r\n", all.join(";"));
        }
    }
    text
}

/// The payload type that a line maps to Opus.
fn opus_number(line: &str) -> Option<&str> {
    let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
    let name = name.split('/').next()?;
    (Codec::of_encoding_name(name) == Some(Codec::Opus)).then_some(number)
}

/// The answer that takes nothing of an offer
/// ([RFC 3264, section 6](https://www.rfc-editor.org/rfc/rfc3264#section-6)). It names our own codecs
/// all the same, so that the other side can tell its user.
pub fn rejection(offer: &SDPMessageRef, ours: impl Fn(crate::media::Kind) -> Vec<Codec>) -> String {
    let mut answer = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned();
    for media in offer.medias() {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let (name, proto, format) = (
            text(media.media()),
            text(media.proto()),
            text(media.format(0)),
        );
        let ours: Vec<_> = kind(media).map(&ours).unwrap_or_default();
        let formats: Vec<_> = ours
            .iter()
            .map(|codec| our_payload_type(*codec).to_string())
            .collect();
        let formats = if formats.is_empty() {
            format
        } else {
            formats.join(" ")
        };
        answer += &format!("m={name} 0 {proto} {formats}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n");
        if let Some(mid) = media.attribute_val("mid") {
            answer += &format!("a=mid:{mid}\r\n");
        }
        for codec in ours {
            answer += &rtpmap(codec);
        }
    }
    answer
}

/// A codec as it stands in a line of ours.
fn rtpmap(codec: Codec) -> String {
    let (number, name, rate) = (
        our_payload_type(codec),
        codec.encoding_name(),
        codec.clock_rate(),
    );
    let channels = if codec == Codec::Opus { "/2" } else { "" };
    let mut text = format!("a=rtpmap:{number} {name}/{rate}{channels}\r\n");
    if codec == Codec::Video(VideoCodec::H264) {
        text += &format!("a=fmtp:{number} packetization-mode=1;profile-level-id=42e01f\r\n");
    }
    text
}

/// The codecs of pictures in a line that have no retransmission beside them.
fn unprotected(media: &SDPMediaRef) -> Vec<(Codec, u8)> {
    let protects = |number: u8, other: u8| {
        encoding_name(media, other).eq_ignore_ascii_case("rtx")
            && parameter(media, other, "apt") == Some(number.to_string().as_str())
    };
    payload_types(media)
        .filter(|number| !payload_types(media).any(|other| protects(*number, other)))
        .filter_map(|number| {
            let codec = Codec::of_encoding_name(encoding_name(media, number))?;
            matches!(codec, Codec::Video(_)).then_some((codec, number))
        })
        .collect()
}

fn free_payload_type(taken: &[u8]) -> Option<u8> {
    (FIRST_DYNAMIC_TYPE..=LAST_PAYLOAD_TYPE).find(|number| !taken.contains(number))
}

fn payload_types(media: &SDPMediaRef) -> impl Iterator<Item = u8> {
    media
        .formats()
        .filter_map(|format| format.parse().ok())
        .filter(|number| *number <= LAST_PAYLOAD_TYPE)
}

/// What an attribute says of a payload type.
fn of_payload<'a>(media: &'a SDPMediaRef, key: &str, number: u8) -> &'a str {
    media
        .attributes()
        .filter(|attribute| attribute.key() == key)
        .filter_map(|attribute| attribute.value()?.split_once(' '))
        .find_map(|(its, value)| (its.parse() == Ok(number)).then_some(value))
        .unwrap_or_default()
}

fn encoding_name(media: &SDPMediaRef, number: u8) -> &str {
    let map = of_payload(media, "rtpmap", number);
    map.split('/').next().unwrap_or_default()
}

fn parameter<'a>(media: &'a SDPMediaRef, number: u8, key: &str) -> Option<&'a str> {
    of_payload(media, "fmtp", number)
        .split(';')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find_map(|(its, value)| (its == key).then_some(value.trim()))
}

/// Read from the text rather than from caps: GStreamer widens the profile while it makes them.
fn is_codec(media: &SDPMediaRef, number: u8, codec: Codec) -> bool {
    let parameter = |key| parameter(media, number, key);
    Codec::of_encoding_name(encoding_name(media, number)) == Some(codec)
        && match codec {
            Codec::Video(VideoCodec::H264) => {
                parameter("packetization-mode") == Some("1")
                    && parameter("profile-level-id").is_some_and(is_constrained_baseline)
            }
            // What is not said is profile 0.
            Codec::Video(VideoCodec::Vp9) => parameter("profile-id").unwrap_or("0") == "0",
            Codec::Video(VideoCodec::Av1) => parameter("profile").unwrap_or("0") == "0",
            Codec::Video(VideoCodec::Vp8) | Codec::Opus => true,
        }
}

/// Profile 66 with constraint 1 set
/// ([RFC 6184, table 5](https://www.rfc-editor.org/rfc/rfc6184#section-8.1)).
fn is_constrained_baseline(profile_level_id: &str) -> bool {
    match u32::from_str_radix(profile_level_id, 16) {
        Ok(id) => id >> 16 == 0x42 && id & 0x4000 != 0,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{OFFER, offer};
    use super::super::{is_rejected, parse};
    use super::*;
    use crate::media::Kind;

    const VP8: Codec = Codec::Video(VideoCodec::Vp8);
    const H264: Codec = Codec::Video(VideoCodec::H264);

    fn payload(caps: &gst::Caps) -> Option<i32> {
        caps.structure(0)?.get("payload").ok()
    }

    #[test]
    fn codecs_are_found_with_their_payload_type() {
        let offer = offer();
        let video = offer.media(0).expect("a video line");
        let (number, vp8) = offered(video, Codec::Video(VideoCodec::Vp8)).expect("VP8");
        assert_eq!(number, 96);
        assert_eq!(payload(&vp8), Some(96));
        assert_eq!(
            vp8.structure(0).and_then(|caps| caps.get("extmap-3").ok()),
            Some(TWCC.to_owned())
        );
        let (_, h264) = offered(video, Codec::Video(VideoCodec::H264)).expect("H.264");
        assert_eq!(payload(&h264), Some(104), "the constrained baseline one");
        assert_eq!(offered(video, Codec::Opus), None);
    }

    #[test]
    fn payload_types_are_those_of_rtp() {
        gst::init().expect("GStreamer is installed");
        for (payload, is_one) in [("96", true), ("127", true), ("128", false), ("-5", false)] {
            let text = OFFER
                .replace("96 97 102 104", payload)
                .replace("rtpmap:96", &format!("rtpmap:{payload}"));
            let offer = parse(&text).expect("a description");
            let found = offer
                .media(0)
                .and_then(|line| offered(line, Codec::Video(VideoCodec::Vp8)));
            assert_eq!(found.is_some(), is_one, "{payload}");
        }
    }

    #[test]
    fn a_rejection_takes_no_line_of_the_offer() {
        let rejection = parse(&rejection(&offer(), |kind| match kind {
            Kind::Video => vec![H264, Codec::Video(VideoCodec::Vp9)],
            Kind::Audio => vec![Codec::Opus],
        }))
        .expect("a description");
        assert_eq!(rejection.medias_len(), 3);
        assert!(rejection.medias().all(is_rejected));
        let line = rejection.media(0).expect("a video line");
        assert_eq!(
            named(line),
            ["H.264", "VP9"],
            "it says what we could have taken"
        );
    }

    #[test]
    fn of_an_answer_the_first_codec_is_used() {
        let offer = offer();
        let video = offer.media(0).expect("a video line");
        assert_eq!(chosen(video, &[H264, VP8]), Some((VP8, 96)));
        assert_eq!(chosen(video, &[H264]), Some((H264, 104)));
        assert_eq!(chosen(video, &[Codec::Opus]), None);
    }

    #[test]
    fn codecs_are_named_as_a_person_knows_them() {
        gst::init().expect("GStreamer is installed");
        let strange = OFFER.replace("96 VP8/", "96 X\"\u{7f}-a-name-without-end/");
        let strange = parse(&strange).expect("a description");
        let named = |offer: &SDPMessageRef| offer.media(0).map(named).unwrap_or_default();
        assert_eq!(
            named(&offer()),
            ["VP8", "H.264 of another profile", "H.264"]
        );
        assert_eq!(named(&strange)[0], r#""X\"\u{7f}-a-name-witho""#);
    }

    #[test]
    fn every_codec_of_pictures_is_given_its_retransmission() {
        let text = with_retransmission(&offer()).expect("text");
        let given = parse(&text).expect("a description");
        let line = given.media(0).expect("a video line");
        let formats: Vec<_> = payload_types(line).collect();
        assert_eq!(formats, [96, 97, 102, 104, 98, 99]);
        assert_eq!(parameter(line, 98, "apt"), Some("102"));
        assert_eq!(parameter(line, 99, "apt"), Some("104"));
        let again = with_retransmission(&given).expect("text");
        assert_eq!(again, text, "and once is enough");
        let audio = given.media(1).expect("a sound line");
        assert_eq!(payload_types(audio).count(), 1);
    }

    #[test]
    fn sound_is_asked_for_as_we_send_it() {
        let opus = Opus {
            fec: false,
            dtx: true,
            ..Opus::default()
        };
        let said = |fmtp: &str| {
            let text = format!("m=audio 9 X 111\r\na=rtpmap:111 OPUS/48000/2\r\n{fmtp}a=mid:0\r\n");
            with_wishes(&text, &opus)
        };
        let expected = |fmtp: &str| {
            format!(
                "m=audio 9 X 111\r\na=rtpmap:111 OPUS/48000/2\r\na=fmtp:111 {fmtp}\r\na=mid:0\r\n"
            )
        };
        assert_eq!(said(""), expected("useinbandfec=0;usedtx=1"));
        assert_eq!(
            said("a=fmtp:111 minptime=10;useinbandfec=1; stereo=1\r\n"),
            expected("minptime=10;stereo=1;useinbandfec=0;usedtx=1")
        );
        let video = "m=video 9 X 96\r\na=rtpmap:96 VP8/90000\r\na=fmtp:96 usedtx=7\r\n";
        assert_eq!(with_wishes(video, &opus), video);
    }

    #[test]
    fn the_payload_types_of_an_offer_do_not_collide() {
        let mut numbers = Codec::ALL.map(our_payload_type).to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), Codec::ALL.len());
    }

    #[test]
    fn another_profile_is_another_codec() {
        gst::init().expect("GStreamer is installed");
        for (name, says, is_ours) in [
            ("VP9", "profile-id=0", true),
            ("VP9", "x=y", true),
            ("VP9", "profile-id=2", false),
            ("AV1", "level-idx=5;profile=0;tier=0", true),
            ("AV1", "level-idx=5; profile=1", false),
            ("H264", "packetization-mode=1;profile-level-id=42e01f", true),
            (
                "H264",
                "packetization-mode=0;profile-level-id=42e01f",
                false,
            ),
            ("H264", "profile-level-id=42e01f", false),
            (
                "H264",
                "packetization-mode=1;profile-level-id=640c1f",
                false,
            ),
            ("H264", "packetization-mode=1;profile-level-id=zz", false),
        ] {
            let text = OFFER.replace(
                "96 VP8/90000",
                &format!("96 {name}/90000\r\na=fmtp:96 {says}"),
            );
            let offer = parse(&text).expect("a description");
            let line = offer.media(0).expect("a video line");
            let codec = Codec::of_encoding_name(name).expect("a codec");
            assert_eq!(is_codec(line, 96, codec), is_ours, "{name} {says}");
        }
    }
}
