"""What a build is handed and nobody may read: found on the host, mounted into each RUN, struck out, searched for."""
