"""What a wheel holds beside the package: configs and the drawing model, as folders of the package.

A build hook of hatchling. An editable installation finds both where they lie in the checkout.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PICTOGRAMS = "assets/pictograms"
SHIPPED = ("configs", *(f"{PICTOGRAMS}/{part}" for part in ("model", "LICENSES", "README.md", "ATTRIBUTION.md")))


class WheelContents(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the folders to a wheel that is not editable."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds."""
        if version == "standard":
            build_data["force_include"].update({part: f"ood_lightning/{part}" for part in SHIPPED})
