"""All schemes to find the culprits of a refused request, played through (workers/amp/bisect.c has ours).

A store takes a part that holds no culprit and refuses one that does. A scheme is done when every good point was in a part that was taken; it may
ask for any part at any time, and may conclude as it likes (here a culprit need not even be refused alone, as ours demands). The other player
chooses the culprits as he goes. Their game is small enough to be solved for batches of up to five.
"""
import functools
import math


def least_excess(n_points: int) -> int:
    """The least x so that some scheme finds any n culprits among so many points with n * ceil(log2(n_points)) + x requests, the first included."""
    levels = math.ceil(math.log2(n_points))

    def settled(open_points, refused):
        """A refused part of one point is a culprit, which has its share of requests; of a refused part and one within it the inner one says all."""
        culprits = frozenset().union(*(part for part in refused if len(part) == 1))
        inner = frozenset(part for part in refused if len(part) > 1 and not any(other < part for other in refused))
        return worth(open_points - culprits, inner) - levels * len(culprits)

    @functools.cache
    def worth(open_points, refused):
        """Requests to come, less those that culprits to come allow."""
        if not open_points:
            return 0
        parts = (frozenset(p for i, p in enumerate(sorted(open_points)) if mask >> i & 1) for mask in range(1, 2 ** len(open_points)))
        return min(1 + max(settled(open_points - part, frozenset(other - part for other in refused)),       # taken
                           settled(open_points, refused | {part}))                                          # refused
                   for part in parts if not any(other <= part for other in refused))

    everything = frozenset(range(n_points))
    return 1 + settled(everything, frozenset({everything}))
