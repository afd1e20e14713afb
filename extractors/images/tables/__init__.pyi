from .names import names_images as names_images
from .names import with_our_names as with_our_names
from .places import files_below as files_below
from .places import find_places as find_places
from .places import with_slashes as with_slashes
from .row_claims import check_rows_claimed as check_rows_claimed
from .text_tables import read_text_table as read_text_table
