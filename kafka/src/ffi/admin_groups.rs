//! Consumer groups: deleted.

use rdkafka_sys as sys;

use super::admin::{Owned, Request, c_text};
use super::code::{self, Code, Failure};

/// Deletes a group with its offsets.
pub fn delete(request: &Request<'_>, group: &str) -> Result<(), Failure> {
    let name = c_text(group)?;
    // SAFETY: the name is copied.
    let order = unsafe { Owned::new(sys::rd_kafka_DeleteGroup_new(name.as_ptr()), sys::rd_kafka_DeleteGroup_destroy) };
    let order = order.ok_or_else(|| Failure::of(Code::INVALID_ARG))?;
    request.ask(
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETEGROUPS,
        // SAFETY: options and queue are alive by `ask`'s promise, the one order lives here and is copied.
        |options, queue| unsafe {
            sys::rd_kafka_DeleteGroups(request.client.handle(), &mut order.handle.clone(), 1, options, queue);
        },
        // SAFETY: the event is alive by `ask`'s promise, and its one outcome with it.
        |event| unsafe {
            let result = sys::rd_kafka_event_DeleteGroups_result(event);
            let mut count = 0;
            if result.is_null() {
                return None;
            }
            let outcomes = sys::rd_kafka_DeleteGroups_result_groups(result, &mut count);
            (count == 1).then(|| code::peek(sys::rd_kafka_group_result_error(*outcomes)))
        },
    )?
}
