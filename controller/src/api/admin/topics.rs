//! Topics: added, removed, paused, resumed, listed.

use common::ids::{Partition, RouteName, TopicName};
use kafka::error::ErrorKind;
use proto::v1;

use super::super::errors::ApiError;
use super::super::probes::BRIEFLY;
use super::super::view::{Observed, Sum};
use super::super::{Api, Leading, parse};
use super::{clusters, routes};
use crate::state::{Command, State, Topic, TopicState};

/// Adds a topic by name. One that the source does not have yet is awaited.
pub async fn add(api: &Api, asked: v1::AddTopicRequest) -> Result<v1::ChangeReply, ApiError> {
    let context = parse::asked(asked.context)?;
    let route: RouteName = parse::name(&asked.route)?;
    let topic = copyable(&asked.topic)?;
    let target = if asked.target.is_empty() { topic.clone() } else { copyable(&asked.target)? };
    let start = routes::start(asked.start)?;
    let command = Command::AddTopic { route: route.clone(), topic: topic.clone(), target, start };
    let (reply, note) = tokio::join!(api.change(context, command, Vec::new()), look_for(api, route, topic));
    let mut reply = reply?;
    reply.notes.extend(note);
    Ok(reply)
}

/// A topic's name; Kafka's own topics are nobody's to copy.
fn copyable(name: &str) -> Result<TopicName, ApiError> {
    let topic: TopicName = parse::name(name)?;
    if topic.is_internal() {
        return Err(ApiError::Invalid(format!("topic {topic} is one of Kafka's own (__…), which are never copied")));
    }
    Ok(topic)
}

/// What the source says of a topic, where that is worth a note. A source that does not answer at once says nothing:
/// whether it answers is another question.
async fn look_for(api: &Api, route: RouteName, topic: TopicName) -> Option<String> {
    let source = {
        let leading = api.seat.leading()?;
        let state = leading.handle.state();
        let settings = &state.routes().get(&route)?.settings;
        clusters::find(&state, &settings.source).ok()?
    };
    let asked = topic.clone();
    let found = api.probes.ask(source, BRIEFLY, move |admin| admin.describe_topics(&[asked])).await.ok()?.pop()?;
    match found {
        Ok(found) if !found.may_read => {
            Some(format!("the source denies reading topic {topic}: it is not copied before Read is granted"))
        }
        Err(error) if error.kind == ErrorKind::UnknownTopic => {
            Some(format!("the source has no topic {topic} yet: it is copied once it is there"))
        }
        _ => None,
    }
}

/// Removes a topic.
pub async fn remove(api: &Api, asked: v1::RemoveTopicRequest) -> Result<v1::ChangeReply, ApiError> {
    let command = Command::RemoveTopic { route: parse::name(&asked.route)?, topic: parse::name(&asked.topic)? };
    api.change(parse::asked(asked.context)?, command, Vec::new()).await
}

/// Stops a topic or one partition of it until it is resumed.
pub async fn pause(api: &Api, asked: v1::PauseTopicRequest) -> Result<v1::ChangeReply, ApiError> {
    let command = Command::PauseTopic {
        route: parse::name(&asked.route)?,
        topic: parse::name(&asked.topic)?,
        partition: asked.partition.map(Partition),
        reason: parse::text("reason", asked.reason)?,
    };
    api.change(parse::asked(asked.context)?, command, Vec::new()).await
}

/// Ends a pause, and what stands still until a person decides.
pub async fn resume(api: &Api, asked: v1::ResumeTopicRequest) -> Result<v1::ChangeReply, ApiError> {
    let command = Command::ResumeTopic {
        route: parse::name(&asked.route)?,
        topic: parse::name(&asked.topic)?,
        partition: asked.partition.map(Partition),
        accept_foreign_offsets: asked.accept_foreign_offsets,
    };
    api.change(parse::asked(asked.context)?, command, Vec::new()).await
}

/// Lists topics.
pub async fn list(api: &Api, asked: v1::ListTopicsRequest) -> Result<v1::ListTopicsReply, ApiError> {
    let (route, topic): (Option<RouteName>, Option<TopicName>) =
        (parse::filter(&asked.route)?, parse::filter(&asked.topic)?);
    api.look(move |leading| found(leading, route.as_ref(), topic.as_ref())).await?
}

fn found(
    leading: &Leading,
    route: Option<&RouteName>,
    topic: Option<&TopicName>,
) -> Result<v1::ListTopicsReply, ApiError> {
    let observed = Observed::of(&leading.handle);
    let state = leading.handle.state();
    if let Some(route) = route {
        routes::find(&state, route)?;
    }
    let is_wanted = |(its_route, its_name): &(RouteName, TopicName)| {
        route.is_none_or(|route| route == its_route) && topic.is_none_or(|topic| topic == its_name)
    };
    let mut topics = Vec::new();
    for ((its_route, name), row) in state.topics().iter().filter(|(key, _)| is_wanted(key)) {
        let mut sum = Sum::default();
        observed.rows_of(&state, its_route, name, row).for_each(|row| sum.add(1, row.lag()));
        topics.push(describe(&state, its_route, name, row, sum));
    }
    match topic {
        Some(topic) if topics.is_empty() => {
            let place = route.map_or_else(|| "any route".to_owned(), |route| format!("route {route}"));
            Err(ApiError::NotFound(format!("there is no topic {topic} on {place}")))
        }
        _ => Ok(v1::ListTopicsReply { topics }),
    }
}

fn describe(state: &State, route: &RouteName, name: &TopicName, topic: &Topic, sum: Sum) -> v1::Topic {
    let (word, reason) = match state.topic_state(route, name) {
        Some(TopicState::Waiting(reason)) => ("waiting", Some(reason)),
        Some(TopicState::Paused) => ("paused", None),
        Some(TopicState::Leaving) => ("leaving", None),
        Some(TopicState::Active) | None => ("replicating", topic.beyond.clone()),
    };
    v1::Topic {
        route: route.to_string(),
        topic: name.to_string(),
        target_topic: topic.target.to_string(),
        partitions: sum.partitions,
        state: word.to_owned(),
        lag: sum.lag,
        reason: reason.map(Into::into),
    }
}
