//! Settings of topics: described, and set one by one.

use std::ffi::CString;

use rdkafka_sys as sys;

use super::admin::{Owned, Request, c_text, copied, outcome};
use super::admin_topics::Named;
use super::code::{self, Code, Failure};

/// One setting of a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// The value in force; `None` where it is hidden.
    pub value: Option<String>,
    /// Whether it was set on this very topic.
    pub is_override: bool,
}

const SET_ON_TOPIC: i32 = sys::rd_kafka_ConfigSource_t::RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG as i32;

type Resource = Owned<sys::rd_kafka_ConfigResource_t>;

fn resource(topic: &str) -> Result<Resource, Failure> {
    let name: CString = c_text(topic)?;
    // SAFETY: the name is copied; what is made is destroyed by its owner only.
    let made = unsafe {
        let kind = sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
        Owned::new(sys::rd_kafka_ConfigResource_new(kind, name.as_ptr()), sys::rd_kafka_ConfigResource_destroy)
    };
    made.ok_or_else(|| Failure::of(Code::INVALID_ARG))
}

/// Describes the settings of topics. The outcomes come in any order.
pub fn describe(request: &Request<'_>, topics: &[&str]) -> Result<Named<Vec<Setting>>, Failure> {
    let resources = topics.iter().map(|topic| resource(topic)).collect::<Result<Vec<_>, _>>()?;
    let mut handles: Vec<_> = resources.iter().map(|resource| resource.handle).collect();
    request.ask(
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
        // SAFETY: options and queue are alive by `ask`'s promise; the resources live here and are copied.
        |options, queue| unsafe {
            let client = request.client.handle();
            sys::rd_kafka_DescribeConfigs(client, handles.as_mut_ptr(), handles.len(), options, queue);
        },
        // SAFETY: the event is alive by `ask`'s promise; as many resources as stated live as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_DescribeConfigs_result(event);
            let mut count = 0;
            if result.is_null() {
                return None;
            }
            let resources = sys::rd_kafka_DescribeConfigs_result_resources(result, &mut count);
            Some((0..count).filter_map(|at| described(*resources.add(at))).collect())
        },
    )
}

/// # Safety
/// `resource` must be alive.
unsafe fn described(
    resource: *const sys::rd_kafka_ConfigResource_t,
) -> Option<(String, Result<Vec<Setting>, Failure>)> {
    // SAFETY: alive by the caller's promise; all that it lends lives as long and is copied.
    unsafe {
        let topic = copied(sys::rd_kafka_ConfigResource_name(resource))?;
        let mut count = 0;
        let entries = sys::rd_kafka_ConfigResource_configs(resource, &mut count);
        let setting = |at| {
            let entry: *const sys::rd_kafka_ConfigEntry_t = *entries.add(at);
            Some(Setting {
                name: copied(sys::rd_kafka_ConfigEntry_name(entry))?,
                value: copied(sys::rd_kafka_ConfigEntry_value(entry)),
                is_override: rd_kafka_ConfigEntry_source(entry) == SET_ON_TOPIC,
            })
        };
        Some((topic, outcome_of(resource).map(|()| (0..count).filter_map(setting).collect())))
    }
}

/// Sets single settings of a topic and leaves all others.
pub fn set<'a>(
    request: &Request<'_>,
    topic: &str,
    settings: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), Failure> {
    let resource = resource(topic)?;
    for (name, value) in settings {
        let (name, value) = (c_text(name)?, c_text(value)?);
        let set = sys::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET;
        // SAFETY: the resource is alive, both texts are copied, and the error object is handed to us.
        unsafe {
            let add = sys::rd_kafka_ConfigResource_add_incremental_config;
            code::take(add(resource.handle, name.as_ptr(), set, value.as_ptr()))?;
        }
    }
    request.ask(
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS,
        // SAFETY: options and queue are alive by `ask`'s promise; the one resource lives here and is copied.
        |options, queue| unsafe {
            let client = request.client.handle();
            sys::rd_kafka_IncrementalAlterConfigs(client, &mut resource.handle.clone(), 1, options, queue);
        },
        // SAFETY: the event is alive by `ask`'s promise, and its one resource with it.
        |event| unsafe {
            let result = sys::rd_kafka_event_IncrementalAlterConfigs_result(event);
            let mut count = 0;
            if result.is_null() {
                return None;
            }
            let resources = sys::rd_kafka_IncrementalAlterConfigs_result_resources(result, &mut count);
            (count == 1).then(|| outcome_of(*resources))
        },
    )?
}

/// # Safety
/// `resource` must be alive.
unsafe fn outcome_of(resource: *const sys::rd_kafka_ConfigResource_t) -> Result<(), Failure> {
    // SAFETY: alive by the caller's promise, and its text with it.
    unsafe { outcome(rd_kafka_ConfigResource_error(resource), sys::rd_kafka_ConfigResource_error_string(resource)) }
}

// Declared here with plain numbers as results: see `code`.
unsafe extern "C" {
    fn rd_kafka_ConfigResource_error(resource: *const sys::rd_kafka_ConfigResource_t) -> i32;
    fn rd_kafka_ConfigEntry_source(entry: *const sys::rd_kafka_ConfigEntry_t) -> i32;
}
