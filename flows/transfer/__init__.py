"""The jobs of transfer learning beyond a head, each a wing in this one; their arithmetic stands in `heads.transfer`."""
