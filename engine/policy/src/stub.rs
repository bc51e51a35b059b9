//! x
#![allow(missing_docs, dead_code, unused_variables, clippy::all)]
pub mod fault {
  #[derive(Clone,Copy,Debug,PartialEq,Eq)]
  pub enum Fault { MalformedRequest, MethodNotAllowed, PathUnknown, HeadTooLarge, TargetTooLong, BodyTooLarge, BodyMalformed, DuplicateField, HeadTimeout, BodyTimeout, KeyMissing, KeyUnknown, KeyExpired, ModelForbidden, ModelUnknown, ModelMissing, RequestRate, TokenRate, Concurrency, RequestExceedsLimit, Overloaded, Draining, NoTarget, ConnectFailed, ConnectTimeout, TlsFailed, NameFailed, UpstreamReset, UpstreamProtocol, FirstByteTimeout, FirstTokenTimeout, BetweenTokensTimeout, TotalTimeout, SendTimeout, UpstreamCut, ClientGone, Internal, HttpVersion, ExpectationFailed, NotImplemented, UnsupportedMedia, LoopDetected }
  impl Fault { pub fn status(self)->u16{500} pub fn code(self)->&'static str{""} pub fn kind(self)->&'static str{""} }
}
pub mod exchange {
  use std::{rc::Rc,sync::Arc,time::Duration};
  use crate::*; use super::fault::Fault; use faregate_adapters::chat::Usage;
  pub struct Exchange; 
  #[derive(Debug)] pub struct Refusal { pub fault: Fault, pub message: String, pub param: Option<&'static str>, pub retry_after: Option<Duration>, pub should_retry: Option<bool>, pub data: Option<String>, pub allow: Option<&'static str> }
  impl Refusal { pub fn new(fault: Fault, m: impl Into<String>) -> Self { todo!() } }
  pub struct Wanted<'a> { pub model: Option<&'a str>, pub provider: Option<&'a str>, pub needs_model: bool, pub input_tokens_bound: u64, pub output_tokens_max: Option<u64>, pub choices: u64, pub metered: bool }
  pub enum Step { Send { target: usize, replica_hint: u64, try_number: u32 }, Wait(Nanos), Refuse(Refusal) }
  pub enum Outcome { Answered { status: u16, retry_after: Option<Duration> }, Failed(Fault) }
  pub enum Verdict { Relay, Again }
  #[derive(Default)] pub struct Settlement { pub usage: Option<Usage>, pub delivered: bool, pub output_estimate: u64, pub fault: Option<Fault> }
  impl Exchange {
   pub fn open(policy: Rc<Arc<Policy>>, core: usize, now: Nanos) -> Exchange { todo!() }
  pub fn identify(&mut self, credential: Option<&[u8]>, wall_nanos: u64) -> Result<(), Refusal>{ todo!() }
  pub fn admit(&mut self, now: Nanos) -> Result<(), Refusal>{ todo!() }
  pub fn decide(&mut self, wanted: &Wanted<'_>, now: Nanos) -> Result<(), Refusal>{ todo!() }
  pub fn step(&mut self, now: Nanos, random: u64) -> Step{ todo!() }
  pub fn report(&mut self, outcome: Outcome, now: Nanos) -> Verdict{ todo!() }
  pub fn settle(&mut self, settlement: Settlement, now: Nanos){ todo!() }
  pub fn caller(&self) -> Option<&Caller>{ todo!() } pub fn attempts(&self) -> u32{ todo!() } pub fn target(&self) -> Option<&Target>{ todo!() } pub fn model(&self)->&str{ todo!() }
  pub fn upstream_model(&self)->&str{ todo!() } pub fn route_reason(&self)->String{ todo!() }
  }
}
pub mod retry { pub fn retry_after(value: &[u8], ms: Option<&[u8]>, wall: u64) -> Option<std::time::Duration> { None } }
pub mod reference { pub fn list()->String{todo!()} pub fn explain(k:&str)->Result<String,String>{todo!()} }
pub mod starter { pub const TEXT: &str = ""; }
pub mod key { pub fn mint(b:[u8;32])->String{todo!()} pub fn hash(b:&[u8])->String{todo!()} }
impl crate::Policy { pub fn describe(&self)->String{todo!()} pub fn from_environment(v: impl Iterator<Item=(String,String)>, c: usize)->Result<Self,crate::Problems>{todo!()} }
impl std::fmt::Display for crate::Problem { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
impl std::fmt::Display for crate::Problems { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
impl std::fmt::Display for crate::KeyHash { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
