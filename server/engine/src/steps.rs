/// How much of something that could be endless is still done. A schema of a few hundred bytes can hold more paths than anybody
/// can walk, because what it refers to refers to more.
pub(crate) struct Steps(usize);

impl Steps {
    pub(crate) const fn new(most: usize) -> Self {
        Self(most)
    }

    /// Takes so many steps, if they are left. Where they are not, none is any more.
    pub(crate) fn take(&mut self, number: usize) -> bool {
        let left = self.0.checked_sub(number);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}
