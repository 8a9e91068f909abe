"""Templates as the papers and their codes print them, for comparison with `configs/prompts/*.yaml`."""

BASIC = ("An image of a {}",)  # as ClusterMine prints it
NICE = ("A nice {}",)  # as ClusterMine prints it; NegLabel's code has the next one
NEGLABEL_NOUN = ("the nice {}",)  # for ID names and nouns
NEGLABEL_ADJECTIVE = ("This is a {} photo",)
OOVLM_NOUN = ("The nice {}.",)  # OpenOOD-VLM's re-implementation, which AdaNeg and InterNeg use
OOVLM_ADJECTIVE = ("This is a {} photo.",)
MCM_NAME = ("a photo of a {}",)
CSP_NOUN = (  # for ID names and nouns; NegRefine's too
    "a close-up photo of the nice {}.",
    "a photo with the nice {}.",
    "a good photo with the nice {}.",
    "a photo of the nice {}.",
    "{}",
    "the {}",
    "the good {}",
    "the nice {}",
)
CSP_ADJECTIVE = ("{}", "a nice photo of {}", "a good photo of {}", "a close-up photo of {}")  # for phrases
MING_5 = (  # PLP's; all five are among OpenAI's
    "a photo of a {}.",
    "a blurry photo of a {}.",
    "a photo of many {}.",
    "a photo of the large {}.",
    "a photo of the small {}.",
)
