"""A small network that finds the visible part of a person, as a real segmenter would: with faults.

Like the mask head of a detector it looks into a box: that of the visible part, its four edges
shaken. So its mask has a segmenter's faults (soft border, pieces of the occluder taken for the
person, thin parts lost, a neighbour's leg), while the person is always found.

Nobody gets a mask from a network that saw them: ``folds`` networks are trained, network k on
composites of the train people who are not in fold k, and a person's mask comes from the network of
their fold. The people of one photo are in one fold. People of val and test are never trained on;
their fold goes by their id. Training is in ``train``, what it leaves in a folder in ``folder``,
the use of that folder in ``starter``; torch is imported where a network is needed, not before.
"""
