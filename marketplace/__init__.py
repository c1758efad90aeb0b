"""A marketplace for consumer poverty alleviation (消费扶贫) in Pingliang, Gansu."""
