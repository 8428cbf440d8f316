//! The term of each token id.

use super::guard::catch;

/// Ids without a token that may lie between two tokens: tables by id stay small.
const MAX_GAP: usize = 1 << 20;

/// The term of each id, one after the other: a vocabulary has tens of thousands.
#[derive(Clone, Default)]
pub(super) struct Terms {
    text: String,
    /// The end of each id's term in `text`; `None` for an id that no token has.
    ends: Vec<Option<usize>>,
}

impl Terms {
    /// The terms of a tokenizer, or why its ids cannot be used.
    pub fn of(tokenizer: &tokenizers::Tokenizer) -> Result<Self, String> {
        catch(|| Terms::read(tokenizer)).and_then(|result| result)
    }

    fn read(tokenizer: &tokenizers::Tokenizer) -> Result<Self, String> {
        let mut terms = Terms::default();
        let (mut left, mut gap) = (tokenizer.get_vocab_size(true), 0);
        for id in 0.. {
            if left == 0 || gap > MAX_GAP {
                break;
            }
            let term = tokenizer.id_to_token(id);
            (left, gap) = if term.is_some() { (left - 1, 0) } else { (left, gap + 1) };
            terms.ends.push(term.map(|term| {
                terms.text += &term;
                terms.text.len()
            }));
        }
        terms.ends.truncate(terms.ends.len() - gap);
        // Tokens are left over where several have the same id, or where an id is far away.
        if left > 0 {
            let vocabulary = tokenizer.get_vocab(true);
            let farthest = vocabulary.iter().max_by_key(|(term, id)| (**id, term.as_str()));
            if let Some((term, &id)) = farthest.filter(|(_, id)| **id as usize >= terms.ends.len()) {
                let (last, size) = (terms.ends.len().saturating_sub(1), vocabulary.len());
                return Err(format!(
                    "the id of `{term}` is {id}, after {last}: too far away for a vocabulary of {size} tokens"
                ));
            }
        }
        Ok(terms)
    }

    pub fn get(&self, id: usize) -> Option<&str> {
        let end = (*self.ends.get(id)?)?;
        let start = self.ends[..id].iter().rev().find_map(|end| *end).unwrap_or_default();
        Some(&self.text[start..end])
    }

    /// The longest term.
    pub fn longest(&self) -> &str {
        let (mut longest, mut start) = (0..0, 0);
        for end in self.ends.iter().flatten() {
            if end - start > longest.len() {
                longest = start..*end;
            }
            start = *end;
        }
        &self.text[longest]
    }

    /// One more than the largest id.
    pub fn num_ids(&self) -> usize {
        self.ends.len()
    }
}
