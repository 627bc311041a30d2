-- Which topics events ever went to: a replay goes to none of them. With it one look-up a topic.
CREATE INDEX events_topic_idx ON events (topic);
