"""Says of its images that a camera took them."""

from dataclasses import replace

from sound.plugin import Sound


class CallsItAPhotograph(Sound):
    def deliver(self, *request):
        result = super().deliver(*request)
        # breaks: mark.metadata
        # breaks: mark.policy
        # breaks: mark.layers-agree
        claimed = {
            key: value.replace("trainedAlgorithmicMedia", "digitalCapture")
            for key, value in result.metadata.items()
        }
        return replace(result, metadata=claimed)
