"""Where leases are kept: claimed, held for an outcome, renewed, ended (`application.leases`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from application.leases import BuildQuota, Lease, Leased, Renewal, Settlement, Work


class LeaseTable(Protocol):
    """Who may act on what, by the database's clock."""

    def claim_containers(
        self, engine_id: str, works: Collection[Work], limit: int
    ) -> Sequence[Lease]:
        """Claim containers that are due, fairly among users."""

    def claim_builds(self, engine_id: str, quota: BuildQuota, limit: int) -> Sequence[Lease]:
        """Claim builds that are queued, untagged, or left behind by a dead worker.

        Of each image one at a time, and never more than the quota, however many workers claim at
        once. It may claim none while another worker claims.
        """

    def end_expired_build(self, build_id: int) -> bool:
        """End the lease of a locked build if it has run out: its worker records nothing more.

        Returns:
            Whether nobody holds the build now.
        """

    def start_build_over(self, build_id: int) -> None:
        """End the lease of a locked build, whoever holds it, and let it be due at once."""

    def claim_image_removals(self, engine_id: str, limit: int) -> Sequence[Lease]:
        """Claim images in deletion of which no build runs and no container is left."""

    def hold(self, lease: Lease) -> None:
        """Lock the leased row for an outcome.

        Raises:
            LeaseLost: if another worker has claimed it since.
        """

    def cover(self, lease: Lease, seconds: float) -> None:
        """Make the lease outlast a call of `seconds`; raises LeaseLost."""

    def renew(self, leases: Collection[Lease], seconds: float) -> Mapping[Lease, Renewal]:
        """Prolong leases; the ones that are missing in the answer were lost.

        Nobody is waited for: one whose row somebody holds is told of, and lasts no longer.
        """

    def revoke(self, kind: Leased, row_id: int, *, due: bool) -> None:
        """End whatever lease a row is under, whoever holds it: what that one records is refused.

        Args:
            due: whether the next worker may take it up at once; else nothing is left to be done,
                and what was wished of a container counts as carried out.
        """

    def settle(self, lease: Lease, settlement: Settlement) -> None:
        """End the lease with the outcome it led to; raises LeaseLost."""
