//! Which questions are the same, and which are not.

use super::*;

fn same(one: &str, other: &str) {
    let [a, b] = [one, other].map(|text| Plain::of(text).spelled());
    assert_eq!(Profile::of(one).unwrap().key, Profile::of(other).unwrap().key, "{a} | {b}");
}

fn different(one: &str, other: &str) {
    let plain = Plain::of(one).spelled();
    assert_ne!(
        Profile::of(one).unwrap().key,
        Profile::of(other).unwrap().key,
        "{one} | {other}: {plain}"
    );
}

#[test]
fn the_same_in_other_words_is_the_same() {
    for (one, other) in [
        (
            "How do I reset my password?",
            "Hello, can you tell me how to reset the password, please?",
        ),
        ("How do I reset my password?", "what are the steps to reset a password"),
        ("How do I reset my password?", "I need help resetting my password."),
        ("How can I get rid of old files?", "how to delete old files"),
        ("What's the capital of France?", "Could you tell me what the capital city of France is?"),
        ("What does HTTP mean?", "Define HTTP."),
        ("How much does a ticket cost?", "What is the price of a ticket?"),
        ("In Python, how do I reverse a list?", "How can I reverse a list in Python?"),
        ("Can you write a poem about autumn?", "Write me a poem about autumn."),
        ("Explain photosynthesis in simple terms", "Can you please explain photosynthesis simply?"),
        ("How far is 5 km?", "How far is five kilometres?"),
        (
            "Wie kann ich mein Passwort ändern?",
            "Hallo, können Sie mir sagen, wie ich mein Passwort ändern kann?",
        ),
        ("Comment puis-je changer mon adresse ?", "Bonjour, comment peut-on changer une adresse ?"),
        ("¿Cómo puedo cambiar mi dirección?", "Hola, ¿cómo se puede cambiar la dirección?"),
    ] {
        same(one, other);
    }
}

/// The pairs that a threshold of similarity alone takes for the same (their cosines: 0.927, 0.924, 0.930, 0.987, 0.761), and others of
/// their kind.
#[test]
fn what_only_looks_the_same_is_not() {
    for (one, other) in [
        ("What was the price in 2024?", "What was the price in 2025?"),
        (
            "What is the refund policy for annual plans?",
            "What is the refund policy for monthly plans?",
        ),
        ("Can I bring my dog?", "Can I not bring my dog?"),
        ("Can I bring my dog?", "Can't I bring my dog?"),
        ("Is it safe to mix bleach and vinegar?", "Is it unsafe to mix bleach and vinegar?"),
        ("How do I say hello in French?", "How do I say hello in German?"),
        ("Flights from New York to Florida", "Flights from Florida to New York"),
        ("Who is the president?", "Who was the president?"),
        ("What is my name?", "What is your name?"),
        ("Where do I live?", "Where do you live?"),
        ("Where do I live?", "Where can I live?"),
        ("How do I feel today?", "How do you feel today?"),
        ("How do I look?", "How can I look?"),
        ("What is an apple?", "What is Apple?"),
        ("What is the president?", "What is a president?"),
        ("How do I enable two-factor?", "How do I disable two-factor?"),
        ("Why is the sky blue?", "Is the sky blue?"),
        ("How many planets are there?", "How much planets are there?"),
        ("Can you swim?", "Swim?"),
        ("Does the dog bite the man?", "Does the man bite the dog?"),
        ("What is 5!", "What is 5"),
        ("Run `rm -r a`", "Run `rm -r b`"),
        ("Mail a@example.org", "Mail b@example.org"),
        ("Let's eat, grandma", "Let's eat grandma"),
        ("Convert 5 km to miles", "Convert 5 miles to km"),
        ("What is the max speed?", "What is the min speed?"),
        ("Summarize the text before noon", "Summarize the text after noon"),
        ("Who wrote Faust?", "Who wrote faust?"),
        ("Wie kann ich mit Karte zahlen?", "Wie kann ich ohne Karte zahlen?"),
        ("Puis-je venir avec un chien ?", "Puis-je venir sans chien ?"),
        ("You are late.", "You are late?"),
        ("How do I polish silver?", "How do I Polish silver?"),
        ("How to delete an account", "How not to delete an account"),
        ("Write my story.", "Write a story."),
        ("Give my dog a name.", "Give the dog a name."),
        ("Can I take my pill?", "Can I take a pill?"),
        ("What does my dream mean?", "What does a dream mean?"),
        ("Name a king.", "Name the king."),
        ("I want to find my phone", "I want to find a phone"),
        ("How can I fast?", "How can I quickly?"),
        ("How do I reach the moon?", "How do I contact the moon?"),
        ("How do I develop a film?", "How do I develop a movie?"),
        ("How do I change my passcode?", "How do I change my password?"),
    ] {
        different(one, other);
    }
}

#[test]
fn what_cannot_be_compared_has_no_profile() {
    assert_eq!(Profile::of(""), Err(Unfit::Empty));
    assert_eq!(Profile::of("  ?! "), Err(Unfit::Empty));
    assert_eq!(Profile::of(&"a ".repeat(TEXT_BYTES_MAX)), Err(Unfit::Long));
}

#[test]
fn an_unknown_language_is_left_as_it_is() {
    different("Яку погоду?", "Яка погода?");
    same("Яка  погода?", "Яка погода?");
    different("xyzzy plugh", "Xyzzy plugh");
}

#[test]
fn no_text_is_too_odd() {
    let pieces = [
        "How do I",
        "é",
        "éé",
        "ing",
        "éing",
        "resetting",
        "\u{301}",
        "“",
        "'",
        "`",
        "```",
        "5",
        "5%",
        "$",
        "1,000",
        "March",
        "a.m.",
        "pm",
        "ſ",
        "İ",
        "ß",
        " ",
        "\u{a0}",
        "\n",
        "?",
        "!",
        "¿",
        ",",
        "-",
        "–",
        "(",
        "…",
        "日本語",
        "🙂",
        "per cent",
        "please",
        "thanks",
        "in Python,",
        "twenty",
        "hundred",
        "one",
        "million",
        "what",
        "is",
        "s",
        "\0",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % end
    };
    for _ in 0..3_000 {
        let text: String = (0..next(12))
            .map(|_| [pieces[next(pieces.len())], ["", " "][next(2)]].concat())
            .collect();
        let (one, two) = (Profile::of(&text), Profile::of(&text));
        assert_eq!(one, two, "{text:?}");
    }
    let many = "nine hundred ninety-nine million ".repeat(60);
    assert!(Profile::of(&many).is_ok());
}
