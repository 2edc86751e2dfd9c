//! Files over connections that break: whatever happens, what arrives is what was sent.

use std::collections::VecDeque;

use client::transfer::{
    Note, Piece, Receiving, Refusal, Sending, Sha256, Turn, WINDOW_BYTES, join, numbered,
    partial_name, plain_name,
};
use proptest::prelude::*;

/// One connection: messages go both ways until it is cut.
fn connect(file: &[u8], disk: &mut Vec<u8>, steps: &mut impl Iterator<Item = u8>) -> Attempt {
    let size = file.len() as u64;
    let mut sending = Sending::new(7, size);
    let mut receiving = Receiving::new(7, size, disk.len() as u64);
    let offset = receiving.offset();
    let mut to_sender = VecDeque::from([Note::Checking { id: 7 }, Note::Accept { id: 7, offset }]);
    let mut to_receiver = VecDeque::new();
    let (mut sent, mut most_ahead) = (0, 0);
    loop {
        let Some(step) = steps.next() else {
            return Attempt {
                sent,
                most_ahead,
                is_done: false,
            };
        };
        match (sending.turn(), step % 3) {
            (Turn::Over(outcome), _) => {
                assert_eq!(outcome, Ok(()));
                return Attempt {
                    sent,
                    most_ahead,
                    is_done: true,
                };
            }
            (Turn::Send { offset, length }, 0) => {
                let start = usize::try_from(offset).expect("small");
                to_receiver.push_back(join(7, offset, &file[start..start + length]));
                sending.sent(length);
                sent += length as u64;
                most_ahead = most_ahead.max(offset + length as u64 - sending.received());
            }
            (_, 1) => {
                if let Some(message) = to_receiver.pop_front() {
                    let Piece::Append(bytes, receipt) = receiving.piece(&message) else {
                        panic!("an honest sender is understood")
                    };
                    disk.extend(bytes);
                    to_sender.extend(receipt);
                }
                if receiving.is_complete() {
                    to_sender.push_back(Note::Done { id: 7 });
                }
            }
            _ => to_sender
                .pop_front()
                .iter()
                .for_each(|note| sending.heard(note)),
        }
    }
}

struct Attempt {
    sent: u64,
    most_ahead: u64,
    is_done: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_file_arrives_whole_however_often_the_connection_breaks(
        seed in any::<u8>(),
        size in 0_usize..40_000_000,
        cuts in proptest::collection::vec(0_usize..3000, 0..6),
    ) {
        let mut file = Vec::with_capacity(size + 1000);
        while file.len() < size {
            let piece = [(file.len() / 1000) as u8 ^ seed; 1000];
            file.extend_from_slice(&piece);
        }
        file.truncate(size);
        let mut disk = Vec::new();
        let mut random = u64::from(seed) + 1;
        let mut dice = std::iter::from_fn(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some((random >> 40) as u8)
        });
        let mut sent = 0;
        for cut in &cuts {
            let attempt = connect(&file, &mut disk, &mut dice.by_ref().take(*cut));
            prop_assert!(attempt.most_ahead <= WINDOW_BYTES);
            sent += attempt.sent;
        }
        let last = connect(&file, &mut disk, &mut dice);
        prop_assert!(last.is_done);
        prop_assert!(disk == file);
        // Of each broken connection, what was under way is sent again, and no more.
        prop_assert!(sent + last.sent <= size as u64 + cuts.len() as u64 * WINDOW_BYTES);
    }

}

proptest! {
    #[test]
    fn no_name_leads_out_of_a_directory(name in any::<String>()) {
        if let Some(plain) = plain_name(&name) {
            prop_assert!(!plain.contains(['/', '\\', '\0']) && !plain.starts_with('.'));
            prop_assert!(!plain.is_empty());
        }
    }

    #[test]
    fn no_message_upsets_a_receiver(message in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut receiving = Receiving::new(7, 100, 10);
        match receiving.piece(&message) {
            Piece::Append(bytes, _) => prop_assert!(bytes.len() <= 90 && !bytes.is_empty()),
            Piece::Stray | Piece::Breach => prop_assert_eq!(receiving.offset(), 10),
        }
    }

    #[test]
    fn a_note_is_read_as_it_is_written(id in any::<u32>(), name in any::<String>(), size in any::<u64>()) {
        let sha256 = Sha256([size as u8; 32]);
        for note in [
            Note::Offer { id, name, size, sha256 },
            Note::Checking { id },
            Note::Accept { id, offset: size },
            Note::Received { id, offset: size },
            Note::Done { id },
            Note::Refuse { id, reason: Refusal::DiskFull },
        ] {
            prop_assert_eq!(Note::parse(&note.to_string()), Some(note));
        }
    }
}

#[test]
fn names_are_reduced_to_their_last_part_or_refused() {
    for (name, plain) in [
        ("x", Some("x")),
        ("../../x", Some("x")),
        ("/etc/passwd", Some("passwd")),
        ("C:\\boot.ini", Some("boot.ini")),
        ("", None),
        ("a/", None),
        ("..", None),
        ("a/..", None),
        (".bashrc", None),
        ("a\0b", None),
        ("a\nb", None),
        (&"x".repeat(201), None),
    ] {
        assert_eq!(plain_name(name), plain, "{name:?}");
    }
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    assert_eq!(numbered("x.tar.gz", 1), "x.tar.gz");
    assert_eq!(numbered("x.txt", 2), "x (2).txt");
    assert_eq!(numbered("x", 3), "x (3)");
    let part = partial_name("x.txt", 9, Sha256([0xab; 32]));
    assert_eq!(part, "x.txt.9-abababababababab.part");
}

#[test]
fn a_peer_that_claims_what_was_not_sent_is_not_believed() {
    let mut sending = Sending::new(1, 100);
    assert_eq!(sending.turn(), Turn::AwaitAnswer);
    sending.heard(&Note::Accept { id: 2, offset: 0 });
    sending.heard(&Note::Done { id: 1 });
    assert_eq!(sending.turn(), Turn::AwaitAnswer);
    sending.heard(&Note::Accept { id: 1, offset: 60 });
    sending.heard(&Note::Received { id: 1, offset: 90 });
    assert_eq!(sending.received(), 60);
    sending.heard(&Note::Done { id: 1 });
    let (offset, length) = (60, 40);
    assert_eq!(sending.turn(), Turn::Send { offset, length });
    let mut other = Sending::new(1, 100);
    other.heard(&Note::Accept { id: 1, offset: 101 });
    assert_eq!(other.turn(), Turn::Over(Err(Refusal::Protocol)));
}

#[test]
fn what_is_no_note_is_none() {
    for text in [
        "",
        "{}",
        "[]",
        r#"{"type":"done"}"#,
        r#"{"type":"done","id":-1}"#,
        r#"{"type":"accept","id":1,"offset":1e99}"#,
        r#"{"type":"offer","id":1,"name":"x","size":1,"sha256":"00"}"#,
        r#"{"type":"other","id":1}"#,
    ] {
        assert_eq!(Note::parse(text), None, "{text}");
    }
}
