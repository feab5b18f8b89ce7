//! The text side of a model, from its files to prompts and from its tokens to text.

mod detokenizer;
mod loading;
mod syntaxes;
mod templates;
