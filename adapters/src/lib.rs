//! Dialects: how providers and clients spell a chat.
