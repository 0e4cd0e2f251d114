"""From a document to a timeline of whole frames. Pure: no network, no pixels."""
