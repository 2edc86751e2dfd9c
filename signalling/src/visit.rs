//! A connection that was let in, counted for as long as it is here, whatever becomes of it.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use crate::admission::Admission;

/// Ends, when dropped, what its arrival began.
pub(crate) struct Visit {
    admission: Rc<RefCell<Admission>>,
    from: IpAddr,
    is_greeted: bool,
}

impl Visit {
    /// For an arrival that was admitted.
    pub(crate) fn new(admission: &Rc<RefCell<Admission>>, from: IpAddr) -> Self {
        Self {
            admission: Rc::clone(admission),
            from,
            is_greeted: false,
        }
    }

    /// Its handshake is over.
    pub(crate) fn greeted(&mut self) {
        self.is_greeted = true;
        self.admission.borrow_mut().greeted(self.from);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.admission
            .borrow_mut()
            .leave(self.from, self.is_greeted);
    }
}
