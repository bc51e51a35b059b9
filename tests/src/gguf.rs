//! A language model of random weights, written as GGUF: small enough to be made by each test that wants one.
//!
//! Two layers of 64 numbers, a vocabulary of bytes and printable characters. What it says has no sense, but comes from a
//! real model's arithmetic, one character a token. Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

use crate::random::Random;

const WIDTH: u64 = 64;
const WIDTH_INNER: u64 = 128;
const LAYERS: u32 = 2;
const HEADS: u32 = 4;
const CONTEXT: u32 = 8192;

/// Tokens that stand for nothing printable: three of control, and one for each byte.
const UNPRINTABLE: usize = 3 + 256;

/// The token of the end.
pub const END_TOKEN: usize = 2;

/// What a call of a tool begins with, in one token. It is never the likeliest one by itself.
pub const CALL_TOKEN: usize = UNPRINTABLE + 95;

/// Tensors begin at multiples of this.
const ALIGNMENT: usize = 32;

/// Each turn in a line; tools, their calls and their results as several families of models write them.
const TEMPLATE: &str = include_str!("gguf.jinja");

/// The model's file; the same seed makes the same model.
pub fn tiny(seed: u64) -> Vec<u8> {
    written(seed, &vocabulary())
}

/// The same with one token more, [`CALL_TOKEN`].
pub fn caller(seed: u64) -> Vec<u8> {
    const USER_DEFINED: u32 = 4;
    let mut tokens = vocabulary();
    tokens.push(("<tool_call>\n".to_owned(), USER_DEFINED, 0.0));
    written(seed, &tokens)
}

/// The token of a printable character.
pub fn token(letter: char) -> usize {
    UNPRINTABLE + (u32::from(letter) - u32::from(' ')) as usize
}

fn written(seed: u64, tokens: &[Token]) -> Vec<u8> {
    let mut file = File { random: Random::seeded(seed), ..File::default() };
    file.describe(tokens);
    file.weigh(tokens.len() as u64);
    file.whole()
}

/// A token: its text, its kind as GGUF numbers them, its score.
type Token = (String, u32, f32);

fn vocabulary() -> Vec<Token> {
    const NORMAL: u32 = 1;
    const UNKNOWN: u32 = 2;
    const CONTROL: u32 = 3;
    const BYTE: u32 = 6;
    let mut tokens = vec![
        ("<unk>".to_owned(), UNKNOWN, 0.0),
        ("<s>".to_owned(), CONTROL, 0.0),
        ("</s>".to_owned(), CONTROL, 0.0),
    ];
    tokens.extend((0..=255_u8).map(|byte| (format!("<0x{byte:02X}>"), BYTE, 0.0)));
    // Vocabularies of this kind write a blank as U+2581.
    let printable = (' '..='~').map(|letter| if letter == ' ' { '\u{2581}' } else { letter });
    tokens.extend(printable.map(|letter| (letter.to_string(), NORMAL, -1.0)));
    tokens
}

#[derive(Debug)]
struct File {
    facts: Vec<u8>,
    facts_count: u64,
    tensors: Vec<u8>,
    tensors_count: u64,
    data: Vec<u8>,
    random: Random,
}

impl Default for File {
    fn default() -> Self {
        Self {
            facts: Vec::new(),
            facts_count: 0,
            tensors: Vec::new(),
            tensors_count: 0,
            data: Vec::new(),
            random: Random::seeded(0),
        }
    }
}

impl File {
    fn describe(&mut self, tokens: &[Token]) {
        let inner = u32::try_from(WIDTH_INNER).expect("it is small");
        let width = u32::try_from(WIDTH).expect("it is small");
        self.text("general.architecture", "llama");
        self.text("general.name", "tiny");
        self.number("llama.context_length", CONTEXT);
        self.number("llama.embedding_length", width);
        self.number("llama.block_count", LAYERS);
        self.number("llama.feed_forward_length", inner);
        self.number("llama.attention.head_count", HEADS);
        self.number("llama.attention.head_count_kv", HEADS);
        self.fact("llama.attention.layer_norm_rms_epsilon", 6, &1e-5_f32.to_le_bytes());
        self.number("llama.rope.dimension_count", width / HEADS);
        self.text("tokenizer.ggml.model", "llama");
        self.text("tokenizer.ggml.pre", "default");
        self.list("tokenizer.ggml.tokens", 8, tokens, |out, (text, ..)| put_text(out, text));
        self.list("tokenizer.ggml.scores", 6, tokens, |out, (.., score)| {
            out.extend(score.to_le_bytes());
        });
        self.list("tokenizer.ggml.token_type", 5, tokens, |out, (_, kind, _)| {
            out.extend(kind.to_le_bytes());
        });
        self.number("tokenizer.ggml.bos_token_id", 1);
        self.number("tokenizer.ggml.eos_token_id", 2);
        self.number("tokenizer.ggml.unknown_token_id", 0);
        self.fact("tokenizer.ggml.add_bos_token", 7, &[1]);
        self.fact("tokenizer.ggml.add_space_prefix", 7, &[0]);
        self.text("tokenizer.chat_template", TEMPLATE);
    }

    fn weigh(&mut self, vocabulary: u64) {
        self.drawn("token_embd.weight", [WIDTH, vocabulary]);
        self.ones("output_norm.weight");
        let mut output = self.draw(WIDTH * vocabulary);
        output.iter_mut().for_each(|weight| *weight *= 20.0);
        // What cannot be printed, the end too, is never the likeliest: an answer ends where it is told to.
        let width = usize::try_from(WIDTH).expect("it is small");
        output[..UNPRINTABLE * width].fill(0.0);
        output[CALL_TOKEN * width..].fill(0.0);
        self.tensor("output.weight", &[WIDTH, vocabulary], &output);
        for layer in 0..LAYERS {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            for part in ["attn_q", "attn_k", "attn_v", "attn_output"] {
                self.drawn(&name(part), [WIDTH, WIDTH]);
            }
            self.drawn(&name("ffn_gate"), [WIDTH, WIDTH_INNER]);
            self.drawn(&name("ffn_up"), [WIDTH, WIDTH_INNER]);
            self.drawn(&name("ffn_down"), [WIDTH_INNER, WIDTH]);
            self.ones(&name("attn_norm"));
            self.ones(&name("ffn_norm"));
        }
    }

    fn whole(self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend(self.tensors_count.to_le_bytes());
        out.extend(self.facts_count.to_le_bytes());
        out.extend(self.facts);
        out.extend(self.tensors);
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        out.extend(self.data);
        out
    }

    fn fact(&mut self, name: &str, kind: u32, value: &[u8]) {
        put_text(&mut self.facts, name);
        self.facts.extend(kind.to_le_bytes());
        self.facts.extend(value);
        self.facts_count += 1;
    }

    fn number(&mut self, name: &str, value: u32) {
        self.fact(name, 4, &value.to_le_bytes());
    }

    fn text(&mut self, name: &str, value: &str) {
        let mut text = Vec::new();
        put_text(&mut text, value);
        self.fact(name, 8, &text);
    }

    fn list(&mut self, name: &str, kind: u32, of: &[Token], put: impl Fn(&mut Vec<u8>, &Token)) {
        let mut value = kind.to_le_bytes().to_vec();
        value.extend((of.len() as u64).to_le_bytes());
        of.iter().for_each(|token| put(&mut value, token));
        self.fact(name, 9, &value);
    }

    fn tensor(&mut self, name: &str, sizes: &[u64], weights: &[f32]) {
        put_text(&mut self.tensors, name);
        self.tensors.extend(u32::try_from(sizes.len()).unwrap_or(0).to_le_bytes());
        sizes.iter().for_each(|size| self.tensors.extend(size.to_le_bytes()));
        self.tensors.extend(0_u32.to_le_bytes()); // 32-bit floats
        self.tensors.extend((self.data.len() as u64).to_le_bytes());
        self.tensors_count += 1;
        weights.iter().for_each(|weight| self.data.extend(weight.to_le_bytes()));
        self.data.resize(self.data.len().next_multiple_of(ALIGNMENT), 0);
    }

    fn drawn(&mut self, name: &str, sizes: [u64; 2]) {
        let weights = self.draw(sizes.iter().product());
        self.tensor(name, &sizes, &weights);
    }

    fn ones(&mut self, name: &str) {
        let width = usize::try_from(WIDTH).expect("it is small");
        self.tensor(name, &[WIDTH], &vec![1.0; width]);
    }

    /// Numbers around 0, spread by 0.05.
    fn draw(&mut self, count: u64) -> Vec<f32> {
        let mut one = || {
            let part = u16::try_from(self.random.number() & 0xffff).unwrap_or(0);
            (f32::from(part) / 65536.0 - 0.5) * 0.1732
        };
        (0..count).map(|_| one()).collect()
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}
